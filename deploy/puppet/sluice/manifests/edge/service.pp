# The units of an edge; sluice::edge declares it.
#
# @api private
class sluice::edge::service {
  $units = ['consul-template-sluice.service', 'sluice-enc-accept.service', 'sluice-enc-accept.timer']
  $units.each |$unit| {
    file { "/etc/systemd/system/${unit}":
      content => file("sluice/systemd/${unit}"),
      mode    => '0644',
      owner   => 'root',
      group   => 'root',
    }
  }

  if $sluice::edge::service {
    exec { 'sluice: systemctl daemon-reload':
      command     => 'systemctl daemon-reload',
      path        => ['/usr/bin', '/bin'],
      refreshonly => true,
      subscribe   => File[$units.map |$unit| { "/etc/systemd/system/${unit}" }],
    }
    service { 'consul-template-sluice':
      ensure    => running,
      enable    => true,
      require   => Exec['sluice: systemctl daemon-reload'],
      subscribe => [
        File['/etc/systemd/system/consul-template-sluice.service'],
        File['/etc/sluice/consul-template.env'],
        File['/etc/sluice/consul.env'],
        File['/etc/sluice/consul-template/flags.ctmpl'],
        File['/etc/sluice/consul-template/manifest.ctmpl'],
        File['/etc/sluice/consul-template/sluice-enc.hcl'],
      ],
    }
    service { 'sluice-enc-accept.timer':
      ensure  => running,
      enable  => true,
      require => [Exec['sluice: systemctl daemon-reload'], File['/etc/sluice/enc.yml']],
    }
  }
}
