# sluice-enc accept on one puppetserver. Replace HOST by its name: one policy and
# one token per puppetserver, so that none can report for another.
key "sluice/edges/HOST" {
  policy = "write"
}

key_prefix "sluice/enc/" {
  policy = "read"
}

key_prefix "sluice/flags/" {
  policy = "read"
}
