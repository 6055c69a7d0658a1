# Dashboards and people who look.
key_prefix "sluice/" {
  policy = "read"
}
