# sluice init, once: it creates the epoch and every key that is watched. Delete the
# token afterwards.
key_prefix "sluice/" {
  policy = "write"
}
