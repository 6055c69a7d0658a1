# Runs with rspec-puppet, like the functions' examples.
require 'rspec-puppet'

RSpec.configure do |c|
  c.module_path = File.expand_path('../../..', __dir__)
  c.setup_fixtures = false # nothing is written into the module
  c.trusted_server_facts = true
end

describe 'sluice::edge' do
  let(:node) { 'puppet1.example.test' }
  let(:tokens) { { 'token' => sensitive('edge-secret'), 'template_token' => sensitive('template-secret') } }
  let(:params) { tokens }

  it { is_expected.to compile.with_all_deps }
  it { is_expected.to contain_file('/etc/sluice/enc.yml').with_content(%r{^host: 'puppet1\.example\.test'$}) }
  it { is_expected.to contain_file('/etc/sluice/enc.yml').without_content(%r{upstream|metrics_file|id_command}) }
  it { is_expected.to contain_file('/etc/sluice/edge.token').with_content(sensitive('edge-secret')).with_mode('0400').with_owner('puppet') }
  it { is_expected.to contain_file('/etc/sluice/consul-template.env').with_mode('0400').with_owner('root') }
  it { is_expected.to contain_service('consul-template-sluice').with_ensure('running').that_subscribes_to('File[/etc/sluice/consul-template/flags.ctmpl]') }
  it { is_expected.to contain_service('sluice-enc-accept.timer').with_enable(true) }
  it { is_expected.not_to contain_file('/usr/bin/sluice-enc') }

  it 'shows no token in the catalog' do
    expect(catalogue.to_data_hash.to_s).to include('/etc/sluice/edge.token')
    expect(catalogue.resource('File', '/etc/sluice/enc.yml')[:content]).not_to include('secret')
  end

  context 'with everything set' do
    let(:params) do
      tokens.merge('upstream_command' => "/usr/local/bin/enc --it's", 'limit_nodes' => 5, 'limit_share' => '2.5%', 'metrics_file' => '/var/lib/x/sluice.prom',
                   'code_identity' => 'content', 'code_id_command' => '/usr/local/bin/code-id', 'consul_prefix' => 'site/sluice/',
                   'consul_environment' => { 'CONSUL_CACERT' => '/etc/ssl/consul.pem' }, 'programs' => '/srv/sluice', 'service' => false)
    end

    it { is_expected.to compile.with_all_deps }
    it { is_expected.to contain_file('/etc/sluice/enc.yml').with_content(%r{^  command: '/usr/local/bin/enc --it''s'$}) }
    it { is_expected.to contain_file('/etc/sluice/enc.yml').with_content(%r{^  share: '2\.5%'$}) }
    it { is_expected.to contain_file('/etc/sluice/consul-template/flags.ctmpl').with_content(%r{safeTree "site/sluice/flags"}) }
    it { is_expected.to contain_file('/etc/sluice/consul.env').with_content("CONSUL_CACERT=/etc/ssl/consul.pem\n") }
    it { is_expected.to contain_file('/usr/bin/sluice-edge').with_source('/srv/sluice/sluice-edge') }
    it { is_expected.not_to contain_service('consul-template-sluice') }
  end

  { 'limit_share' => '10', 'consul_prefix' => 'sluice', 'upstream_command' => 'enc.rb', 'host' => 'a/b', 'consul_environment' => { 'PATH' => '/' } }.each do |name, value|
    context "with #{name} #{value}" do
      let(:params) { tokens.merge(name => value) }

      it { is_expected.to compile.and_raise_error(%r{parameter '#{name}'}) }
    end
  end
end
