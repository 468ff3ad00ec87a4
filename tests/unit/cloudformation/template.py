"""A template of CloudFormation as AWS has it once its parameters are known.

Only what ours uses is understood; anything else is an error. Resources are named by their logical
names: `Ref` gives `X`, `GetAtt` `arn:X`.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

PATH = Path(__file__).parents[3] / "packaging/cloudformation/watch-over.yaml"

PSEUDO = {
    "AWS::AccountId": "111122223333",
    "AWS::Partition": "aws",
    "AWS::Region": "ap-northeast-1",
    "AWS::StackName": "living-room",
}
NOTHING = object()

#: Parameters with which every resource is there.
EVERYTHING = {
    "ThingName": "living-room",
    "Email": "family@example.org",
    "WakingHoursUtc": "22,23,0,1,2,3,4,5,6,7,8,9,10,11",
    "TemperatureSensor": "room",
    "ColdBelow": "15",
    "HotAbove": "30.5",
    "HumiditySensor": "room",
    "OtherSensor": "room",
    "BoardSensor": "board",
    "ProcessorSensor": "processor",
    "KeepHistory": "yes",
    "FleetTemplate": "home",
}


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML with the short forms of CloudFormation's functions."""


def _short(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        raise TypeError(suffix)
    if suffix == "GetAtt":
        value = value.split(".")
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short)


@cache
def document() -> dict[str, Any]:
    """The template as it is written."""
    found: dict[str, Any] = yaml.load(PATH.read_text(), _Loader)  # noqa: S506 -- a safe one
    return found


class Stack:
    """The template with parameters; `resources` are those whose condition holds."""

    def __init__(self, **parameters: str) -> None:
        self.template = document()
        self.values: dict[str, str] = dict(PSEUDO)
        for name, about in self.template["Parameters"].items():
            value = str(parameters.pop(name, about.get("Default", NOTHING)))
            allowed = about.get("AllowedValues")
            assert re.fullmatch(about.get("AllowedPattern", ".*"), value), (name, value)
            assert not allowed or value in map(str, allowed), (name, value)
            self.values[name] = value
        assert not parameters, "unknown parameters"
        for rule in self.template["Rules"].values():
            if self._true(rule.get("RuleCondition", {"Fn::Equals": ["", ""]})):
                for one in rule["Assertions"]:
                    assert self._true(one["Assert"]), one["AssertDescription"]
        self.resources: dict[str, dict[str, Any]] = {
            name: self.resolved(one.get("Properties", {}))
            for name, one in self.template["Resources"].items()
            if "Condition" not in one or self._holds(one["Condition"])
        }

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Properties of the resources of a type, by their logical names."""
        types = self.template["Resources"]
        return {name: one for name, one in self.resources.items() if types[name]["Type"] == kind}

    def resolved(self, value: Any) -> Any:  # noqa: ANN401 -- as YAML has it
        """The value with its functions carried out; NOTHING is AWS::NoValue."""
        if isinstance(value, list):
            return [one for one in map(self.resolved, value) if one is not NOTHING]
        if not isinstance(value, dict):
            return value
        ((name, argument), *more) = value.items()
        if more or not (name == "Ref" or name.startswith("Fn::")):
            found = {key: self.resolved(one) for key, one in value.items()}
            return {key: one for key, one in found.items() if one is not NOTHING}
        return self._carried_out(name, argument)

    def _carried_out(self, name: str, argument: Any) -> Any:  # noqa: ANN401 -- may be NOTHING
        match name, argument:
            case "Ref", _:
                return self._ref(argument)
            case "Fn::GetAtt", [resource, "Arn"]:
                return f"arn:{self._existing(resource)}"
            case "Fn::If", [condition, yes, no]:
                return self.resolved(yes if self._holds(condition) else no)
            case "Fn::Sub", _:
                return self._sub(argument)
            case "Fn::Join", [glue, parts]:
                return glue.join(self.resolved(parts))
            case "Fn::Split", [glue, text]:
                return self.resolved(text).split(glue)
        raise ValueError(name)

    def _ref(self, name: str) -> Any:  # noqa: ANN401 -- may be NOTHING
        if name == "AWS::NoValue":
            return NOTHING
        return self.values[name] if name in self.values else self._existing(name)

    def _existing(self, name: str) -> str:
        condition = self.template["Resources"][name].get("Condition")
        assert condition is None or self._holds(condition), f"{name} is not there"
        return name

    def _sub(self, argument: str | list[Any]) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else argument

        def put(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in own:
                return str(self.resolved(own[name]))
            if name.endswith(".Arn"):
                return f"arn:{self._existing(name.removesuffix('.Arn'))}"
            return str(self._ref(name))

        return re.sub(r"\$\{([^{}]+)\}", put, text)

    def _holds(self, name: str) -> bool:
        return self._true(self.template["Conditions"][name])

    def _true(self, condition: dict[str, Any]) -> bool:
        ((name, argument),) = condition.items()
        if name == "Condition":
            return self._holds(argument)
        if name == "Fn::Not":
            return not self._true(argument[0])
        if name == "Fn::And":
            return all(map(self._true, argument))
        if name == "Fn::Or":
            return any(map(self._true, argument))
        assert name == "Fn::Equals", name
        return bool(self.resolved(argument[0]) == self.resolved(argument[1]))
