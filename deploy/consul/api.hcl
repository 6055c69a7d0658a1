# The API of sluiced, where it carries out verbs (--web.enable-admin-api): what a
# person may write, but for flags/force, which lets a generation pass the edges' speed
# limit and takes a person's own token.
#
# Whoever takes sluiced over with this token can end people's stops. A site that does
# not need the API does not make it.
key_prefix "sluice/" {
  policy = "read"
}

key_prefix "sluice/flags/" {
  policy = "write"
}

key "sluice/flags/force" {
  policy = "read"
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
