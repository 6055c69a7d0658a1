# Runs with rspec-puppet; see the README for how code that uses the functions is tested.
require 'rspec-puppet'

modules = File.expand_path('../../..', __dir__)
RSpec.configure do |c|
  c.module_path = modules
  c.setup_fixtures = false # nothing is written into the module
end

describe 'sluice::enabled' do
  context 'where sluice is not installed' do
    it { is_expected.to run.with_params('flag').and_return(false) }
    it { is_expected.to run.with_params('flag', true).and_return(true) }
  end

  context 'on a node that has the flag' do
    # A classifier's parameter is a top-scope variable; the examples of a function take one from here.
    let(:pre_condition) { "$sluice = { 'flag' => true, 'off' => false, 'odd' => 'yes' }" }

    it { is_expected.to run.with_params('flag').and_return(true) }
    it { is_expected.to run.with_params('off', true).and_return(false) }
    it { is_expected.to run.with_params('other').and_return(false) }
    it { is_expected.to run.with_params('odd').and_raise_error(%r{expected true or false}) }
  end
end

describe 'sluice::variant' do
  let(:pre_condition) { "$sluice = { 'mpm' => 'event', 'list' => [1, 2] }" }

  it { is_expected.to run.with_params('mpm', 'prefork').and_return('event') }
  it { is_expected.to run.with_params('list').and_return([1, 2]) }
  it { is_expected.to run.with_params('none', 'prefork').and_return('prefork') }
end

describe 'sluice', type: :class do
  let(:node_params) { { 'sluice' => { 'flag' => true } } }

  it { is_expected.to compile }
  it { is_expected.to contain_class('sluice').with_given('flag' => true) }
end
