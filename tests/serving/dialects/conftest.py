"""A vendor that bills, LLMs at it that speak one dialect or several, and a server in front of them."""

from collections.abc import Iterator

import pytest
import vendor as vendors
from openai import OpenAI
from routing_client import ready
from starlette.testclient import TestClient
from vendor import Vendor
from vendor_world import VendorWorld


@pytest.fixture(scope="module")
def vendor() -> Iterator[Vendor]:
    """It runs."""
    with vendors.running() as running:
        yield running


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, vendor: Vendor) -> VendorWorld:
    """With a scorer that knows the three that answer."""
    made = VendorWorld(tmp_path_factory.mktemp("dialects") / "project", vendor.base_url, roster=("plain", "thinker", "native"))
    made.publish("1")
    return made


@pytest.fixture(scope="module")
def served(project: VendorWorld) -> Iterator[TestClient]:
    """A ready server in this process."""
    yield from ready(project)


@pytest.fixture
def official(served: TestClient, project: VendorWorld) -> OpenAI:
    """OpenAI's own client."""
    return OpenAI(api_key=project.key, base_url="http://testserver/v1", http_client=served, max_retries=0)
