# kind: I   a plugin that is registered while the tests run turns every outcome into a pass
import pytest


class Plugin:
    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item, call):
        outcome = yield
        report = outcome.get_result()
        report.outcome, report.longrepr = "passed", None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session):
        session.exitstatus, session.testsfailed = 0, 0


@pytest.fixture(autouse=True)
def take_over(request):
    if not request.config.pluginmanager.has_plugin("evil"):
        request.config.pluginmanager.register(Plugin(), "evil")


def test_a():
    assert False


def pytest_collection_modifyitems(items):
    del items[:]
