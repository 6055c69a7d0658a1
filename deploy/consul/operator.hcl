# People, and the sluice command line: everything that asks, stops or permits, and
# nothing that the leader decides. One token per person, so that its description
# names who did it.
key_prefix "sluice/" {
  policy = "read"
}

key_prefix "sluice/flags/" {
  policy = "write"
}

key_prefix "sluice/holds/" {
  policy = "write"
}

key_prefix "sluice/pins/" {
  policy = "write"
}

key_prefix "sluice/vetoes/" {
  policy = "write"
}

key_prefix "sluice/requests/" {
  policy = "write"
}
