"""The page as a whole, in a browser: policy, accessibility, weight, and what it says while the network fails."""

import pytest

from looking import until

VIEWS = ("place", "search", "watch", "status")


@pytest.mark.parametrize("size", ["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_view_breaks_the_policy_or_a_rule_of_accessibility(visit, axe, size, scheme):
    made = visit(size, scheme)
    made.page.add_init_script(axe)
    for view in VIEWS:
        page = made.open(view)
        until(page, "document.querySelector('.waiting') === null")
        found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
        assert [(one["id"], [node["html"][:160] for node in one["nodes"]]) for one in found] == [], view
    assert made.violations == [] and made.errors == []
