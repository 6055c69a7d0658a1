# Whether this node has a feature flag: as short as `fqdn_rand(100) < 10`, but with a schedule, a judge and a way back.
#
# A value that is not a Boolean is a mistake in the rollout. It fails the catalog, which sluice counts against the
# change on the first few nodes, instead of turning into "yes" everywhere.
#
# @param flag
#   Name of the parameter, as in `sluice start --parameter NAME=true`.
# @param default
#   What nodes have that the rollout has not reached.
# @example
#   if sluice::enabled('sshd_hardening') { include profile::sshd::hardening }
function sluice::enabled(String[1] $flag, Boolean $default = false) >> Boolean {
  $value = sluice::variant($flag, $default)
  if $value !~ Boolean {
    $kind = type($value, 'generalized')
    fail("sluice::enabled('${flag}'): ${value} is ${kind}, expected true or false; sluice::variant takes other values")
  }
  $value
}
