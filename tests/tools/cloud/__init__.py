"""A local AWS IoT Core: control plane, message broker, and an observer at the cloud's side."""

from __future__ import annotations

from tests.tools.cloud.local_aws import LocalAws

__all__ = ["LocalAws"]
