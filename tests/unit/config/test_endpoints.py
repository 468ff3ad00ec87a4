"""A name that is no endpoint of a device's is told with what to type; a right one never."""

from __future__ import annotations

import pytest

from agent.config import Mqtt, control_plane, endpoint_problem, region_doubt, region_of
from tests.unit.config.conftest import read, write

OLD = "a1b2c3d4e5f6g7.iot.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("host", "meant"),
    [
        (OLD, "a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com"),
        ("A1B2.iot.US-gov-west-1.amazonaws.com.", "a1b2-ats.iot.us-gov-west-1.amazonaws.com"),
        ("a1b2.iot.cn-north-1.amazonaws.com.cn", "a1b2.ats.iot.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_the_old_endpoint_is_told_with_the_new_one(host: str, meant: str) -> None:
    """Amazon's roots do not sign its certificate."""
    problem = endpoint_problem(Mqtt(endpoint=host))
    assert "is the old endpoint, whose certificate is not of Amazon's roots" in problem
    assert problem.endswith(f"behind the first label: {meant}")


@pytest.mark.parametrize(
    ("host", "what"),
    [
        ("iot.eu-west-1.amazonaws.com", "is where AWS IoT is set up"),
        ("data.iot.eu-west-1.amazonaws.com", "is that of no account"),
        ("data-ats.iot.eu-west-1.amazonaws.com", "is that of no account"),
        ("credentials.iot.eu-west-1.amazonaws.com", "gives out AWS keys"),
        ("a1b2.credentials.iot.eu-west-1.amazonaws.com", "gives out AWS keys"),
        ("a1b2.jobs.iot.eu-west-1.amazonaws.com", "is for jobs"),
        ("a1b2-ats.iot.amazonaws.com", "lacks its region"),
        ("eu-west-1.console.aws.amazon.com", "is a web page"),
        ("console.amazonaws.cn", "is a web page"),
    ],
)
def test_a_name_for_something_else_is_told_as_such(host: str, what: str) -> None:
    """With the command that tells the right one."""
    problem = endpoint_problem(Mqtt(endpoint=host))
    assert problem.startswith(f"{host} {what}")
    assert "aws iot describe-endpoint --endpoint-type iot:Data-ATS" in problem


@pytest.mark.parametrize(
    "host",
    [
        "",
        "a1b2-ats.iot.us-east-1.amazonaws.com",
        "a1b2.ats.iot.cn-north-1.amazonaws.com.cn",
        "a1b2-ats.iot-fips.us-gov-west-1.amazonaws.com",
        "vpce-1-2.data.iot.us-east-1.vpce.amazonaws.com",
        "iot.example.com",
        "localhost",
        "10.0.0.7",
    ],
)
def test_a_right_endpoint_and_one_of_the_owners_are_no_problem(host: str) -> None:
    """A custom domain may be called anything."""
    assert not endpoint_problem(Mqtt(endpoint=host))


def test_the_old_endpoint_is_right_for_whoever_names_its_roots(tmp_path: object) -> None:
    """With a ca_file the owner knows."""
    assert not endpoint_problem(Mqtt(endpoint=OLD, ca_file=tmp_path))  # type: ignore[arg-type]


def test_the_configuration_warns_of_it(tmp_path: object) -> None:
    """It is no error: a name may be new."""
    config = read(write(tmp_path, f'[mqtt]\nendpoint = "{OLD}"\n'))  # type: ignore[arg-type]
    (warning,) = config.warnings
    assert warning.startswith(f"mqtt.endpoint: {OLD} is the old endpoint")


@pytest.mark.parametrize(
    ("region", "meant"),
    [
        ("us-eats-1", "did you mean us-east-1"),
        ("eu-central-9", "did you mean eu-central-"),
        ("xx-1", "that this version knows"),
    ],
)
def test_a_region_that_is_not_known_is_doubted(region: str, meant: str) -> None:
    """With what may be meant."""
    assert region_doubt(region).startswith(f"{region} is no AWS region that this version knows")
    assert meant in region_doubt(region)


def test_known_regions_are_not_doubted() -> None:
    """Nor is none at all, which the AWS key tells."""
    for region in ("", "us-east-1", "ap-northeast-1", "us-gov-west-1", "cn-northwest-1"):
        assert not region_doubt(region)
    assert control_plane("cn-north-1") == "iot.cn-north-1.amazonaws.com.cn"


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("abc123-ats.iot.ap-northeast-1.amazonaws.com", "ap-northeast-1"),
        ("ABC123.ats.iot.cn-north-1.amazonaws.com.cn.", "cn-north-1"),
        ("localhost", ""),
        ("iot.example.org", ""),
    ],
)
def test_an_endpoint_of_aws_names_its_region(host: str, region: str) -> None:
    """A broker elsewhere names none."""
    assert region_of(host) == region
