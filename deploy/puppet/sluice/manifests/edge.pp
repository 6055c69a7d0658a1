# Makes a puppetserver an edge: the programs, their configuration, consul-template and the timer.
#
# It does not point puppetserver at the classifier. Do that when `sluice-enc status` says ready and `sluice-enc audit` lists
# nobody: `node_terminus = exec` and `external_nodes = /usr/bin/sluice-enc`, see the README of sluice.
#
# @param token
#   Consul token with the policy `sluice-edge-HOST`: for sets and for what this edge says of itself.
# @param template_token
#   Consul token with the policy `sluice-template`: for consul-template.
# @param host
#   This edge's name, as in the name of its policy.
# @param programs
#   Where `sluice-enc`, `sluice-edge` and `consul-template` come from: a directory, as a file's source names it. Without it
#   they are there already, from a package for instance.
# @param consul_address
#   The local agent, mostly.
# @param consul_prefix
#   Of every key, as in sluiced.yml.
# @param consul_environment
#   Further `CONSUL_*` variables, such as CONSUL_CACERT.
# @param upstream_command
#   The site's own classifier.
# @param upstream_timeout
#   After it the node's last good answer is given.
# @param limit_nodes
#   Nodes that may go forward per hour, or so much of the fleet:
# @param limit_share
#   The larger of the two counts.
# @param environment_path
#   Where puppetserver has its environments.
# @param metrics_file
#   In the directory of node_exporter's textfile collector.
# @param code_identity
#   What tells one version of an environment's code from another.
# @param code_id_command
#   puppetserver's code-id-command.
# @param user
#   Whom puppetserver runs as. The units are made for puppet.
# @param service
#   Whether to run consul-template and the timer.
# @example
#   class { 'sluice::edge':
#     token          => Sensitive(lookup('sluice_edge_token')),
#     template_token => Sensitive(lookup('sluice_template_token')),
#     programs       => 'puppet:///modules/profile/sluice',
#   }
class sluice::edge (
  Sensitive[String[1]]           $token,
  Sensitive[String[1]]           $template_token,
  Pattern[/\A[^\/\s]+\z/]        $host               = $trusted['certname'],
  Optional[String[1]]            $programs           = undef,
  String[1]                      $consul_address     = '127.0.0.1:8500',
  Pattern[/\A[\w\/.-]+\/\z/]     $consul_prefix      = 'sluice/',
  Hash[Pattern[/\ACONSUL_\w+\z/], String] $consul_environment = {},
  Optional[Pattern[/\A\//]]      $upstream_command   = undef,
  Pattern[/\A\d+[smh]\z/]        $upstream_timeout   = '10s',
  Integer[0]                     $limit_nodes        = 10,
  Pattern[/\A[\d.]+%\z/]         $limit_share        = '10%',
  Pattern[/\A\//]                $environment_path   = '/etc/puppetlabs/code/environments',
  Optional[Pattern[/\A\//]]      $metrics_file       = undef,
  Enum['signature', 'content']   $code_identity      = 'signature',
  Optional[Pattern[/\A\//]]      $code_id_command    = undef,
  String[1]                      $user               = 'puppet',
  Boolean                        $service            = true,
) {
  if $programs {
    $deployed = ['sluice-enc', 'sluice-edge', 'consul-template']
    $deployed.each |$program| {
      file { "/usr/bin/${program}":
        source => "${programs}/${program}",
        mode   => '0755',
        owner  => 'root',
        group  => 'root',
      }
    }
  }

  file {
    default:
      owner => 'root',
      group => 'root',
      ;
    ['/etc/sluice', '/etc/sluice/consul-template']:
      ensure => directory,
      mode   => '0755',
      ;
    '/var/lib/sluice-enc':
      ensure => directory,
      owner  => $user,
      group  => $user,
      mode   => '0755',
      ;
    '/etc/sluice/edge.token':
      content => $token,
      owner   => $user,
      mode    => '0400',
      ;
    '/etc/sluice/enc.yml':
      content => epp('sluice/enc.yml.epp', {
          host             => $host,
          consul_address   => $consul_address,
          consul_prefix    => $consul_prefix,
          upstream_command => $upstream_command,
          upstream_timeout => $upstream_timeout,
          limit_nodes      => $limit_nodes,
          limit_share      => $limit_share,
          environment_path => $environment_path,
          metrics_file     => $metrics_file,
          code_identity    => $code_identity,
          code_id_command  => $code_id_command,
      }),
      mode    => '0644',
      ;
    '/etc/sluice/consul.env':
      content => $consul_environment.map |$name, $value| { "${name}=${value}\n" }.join,
      mode    => '0644',
      ;
    '/etc/sluice/consul-template.env':
      content => Sensitive("CONSUL_HTTP_ADDR=${consul_address}\nCONSUL_HTTP_TOKEN=${template_token.unwrap}\n"),
      mode    => '0400',
      ;
  }

  ['flags.ctmpl', 'manifest.ctmpl', 'sluice-enc.hcl'].each |$name| {
    file { "/etc/sluice/consul-template/${name}":
      content => regsubst(file("sluice/consul-template/${name}"), '"sluice/', "\"${consul_prefix}", 'G'),
      mode    => '0644',
      owner   => 'root',
      group   => 'root',
    }
  }

  contain sluice::edge::service
}
