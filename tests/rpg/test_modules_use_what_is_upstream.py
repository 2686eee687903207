"""A module may use what data reaches it from, through others as well; those that it takes data from itself come first."""

from __future__ import annotations

from zerorepo_rpg.plan_model import DataFlow, ModulePlan, ModuleSet


def test_further_modules_come_after_direct_ones_and_a_circle_does_not_lead_back() -> None:
    names = ("checking", "faults", "links", "service")
    pairs = (("faults", "checking"), ("checking", "links"), ("links", "service"), ("messages", "service"))
    modules = ModuleSet(
        modules=tuple(
            ModulePlan(id=name, name=name, description=name, features=(name,)) for name in (*names, "messages")
        ),
        flows=tuple(DataFlow(source=a, target=b, data_name="data", data_type="str") for a, b in pairs),
    )
    assert modules.upstream() == {
        "checking": ("faults",),
        "faults": (),
        "links": ("checking", "faults"),
        "messages": (),
        "service": ("links", "messages", "checking", "faults"),
    }
    circle = tuple(DataFlow(source=b, target=a, data_name="back", data_type="str") for a, b in pairs[:1])
    again = modules.model_copy(update={"flows": (*modules.flows, *circle)})
    assert again.upstream()["faults"] == ("checking",)
