# sluiced: the daemon, leader and waiting replicas alike.
#
# It reads what people ask for and cannot write it: a wrong or taken-over daemon can
# stop nothing that people started and start nothing that people stopped.
key_prefix "sluice/" {
  policy = "read"
}

key_prefix "sluice/rollouts/" {
  policy = "write"
}

key_prefix "sluice/enc/" {
  policy = "write"
}

key_prefix "sluice/tracks/" {
  policy = "write"
}

key_prefix "sluice/audit/" {
  policy = "write"
}

key "sluice/status" {
  policy = "write"
}

# The lock, and the transaction that is fenced by it.
key "sluice/leader" {
  policy = "write"
}

# Deletes a request in the transaction that acts on it.
key_prefix "sluice/requests/" {
  policy = "write"
}

# Sessions live on the node of the agent that sluiced talks to. Name that node
# here instead of "" where it is known.
session_prefix "" {
  policy = "write"
}
