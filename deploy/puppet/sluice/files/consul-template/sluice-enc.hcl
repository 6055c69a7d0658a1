# consul-template on every puppetserver: two independent files, so that a stop arrives even while
# something is wrong with the manifest. Nothing in the templates can fail, and `accept` always exits 0,
# because consul-template ends when a template or its command fails.
#
# Replace TOKEN_FILE's content with a token of policy sluice-template, and run this as the user that owns
# /var/lib/sluice-enc (puppet). `sluice-enc accept` also runs on a timer: see ../systemd.

consul {
  # address and token come from CONSUL_HTTP_ADDR and CONSUL_HTTP_TOKEN
  retry {
    enabled  = true
    attempts = 0 # for ever: the default gives up after five minutes
    backoff     = "250ms"
    max_backoff = "15s"
  }
}

# A stale read during an election may be a valid empty answer.
max_stale = "0s"
log_level = "info"

template {
  source         = "/etc/sluice/consul-template/flags.ctmpl"
  destination    = "/var/lib/sluice-enc/rendered/flags"
  create_dest_dirs = true
  perms          = 0644
  error_fatal    = false
  exec {
    command = ["/usr/bin/sluice-enc", "accept"]
    timeout = "90s"
  }
}

template {
  source         = "/etc/sluice/consul-template/manifest.ctmpl"
  destination    = "/var/lib/sluice-enc/rendered/manifest"
  create_dest_dirs = true
  perms          = 0644
  error_fatal    = false
  exec {
    command = ["/usr/bin/sluice-enc", "accept"]
    timeout = "90s"
  }
}
