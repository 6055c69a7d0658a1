# The value that a parameters rollout gives this node, or the default.
#
# sluice decides node by node who has a flag already, and takes it back when it does harm. A node that is not admitted
# gets the default, and so does every node on a server without sluice.
#
# @param flag
#   Name of the parameter, as in `sluice start --parameter NAME=VALUE`.
# @param default
#   What nodes have that the rollout has not reached.
# @return
#   Any data: a string, a number, a list, a hash.
# @example
#   $mpm = sluice::variant('apache_mpm', 'prefork')
function sluice::variant(String[1] $flag, Data $default = undef) >> Data {
  $given = sluice::given()
  if $flag in $given { $given[$flag] } else { $default }
}
