# Writes down in the catalog which parameters sluice gave this node.
#
# PuppetDB keeps a class's parameters with the catalog, and a report names the catalog that it applied. So whoever has
# this class on all nodes can prove for every run which flags it ran with, instead of concluding it from the time.
#
# @param given
#   Leave it alone: it is what the external node classifier said.
# @example
#   include sluice
class sluice (
  Hash[String[1], Data] $given = sluice::given(),
) {
}
