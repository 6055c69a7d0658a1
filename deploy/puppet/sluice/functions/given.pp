# All parameters that sluice gives this node: a hash, empty where there are none.
#
# They come with the answer of the external node classifier, as the top-scope variable `$sluice`.
#
# @api private
function sluice::given() >> Hash[String[1], Data] {
  $given = getvar('sluice')
  case $given {
    Undef, '':             { {} }
    Hash[String[1], Data]: { $given }
    default: {
      $kind = type($given, 'generalized')
      fail("the top-scope variable \$sluice is ${kind}, expected the hash that sluice's classifier gives")
    }
  }
}
