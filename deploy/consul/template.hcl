# consul-template on a puppetserver: the two documents that it renders.
key "sluice/enc/manifest" {
  policy = "read"
}

key_prefix "sluice/flags/" {
  policy = "read"
}
