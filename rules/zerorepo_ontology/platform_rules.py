"""The rules for platforms: the web platform, browser data, the services of a cloud. Optional, and pinned like packages.

Knows nothing of how they are read.
"""

from __future__ import annotations

import tomllib

from zerorepo.errors import TargetFailed
from zerorepo.rule import Attrs, RuleContext, rule
from zerorepo_ontology import starter
from zerorepo_ontology.fetch import FetchDistribution, Fetched
from zerorepo_ontology.fetch_npm import FetchedPackage, FetchNpmPackage
from zerorepo_ontology.mining import Mined
from zerorepo_ontology.platform_sources import MineBrowserData, MineCloudServices, MineWebFeatures
from zerorepo_ontology.rules import MinedSource
from zerorepo_ontology.settings import OntologySettings

_PINS = "data/platforms.toml"


class NpmAttrs(Attrs):
    """Attributes of ``ontology_web_features`` and ``ontology_browser_data``: another version than the pinned one."""

    version: str = ""
    sha256: str = ""


class CloudAttrs(Attrs):
    """Attributes of ``ontology_cloud_services``."""

    cap: int = 8
    """Operations of one service at most."""


@rule("ontology_web_features", attrs=NpmAttrs, provides=[MinedSource])
async def ontology_web_features(ctx: RuleContext[NpmAttrs]) -> MinedSource:
    """Take the features of the web platform, as ``web-features`` groups them."""
    pin, fetched = await _fetched(ctx, "web-features")
    mined: Mined = await ctx.run(MineWebFeatures(archive=fetched.archive, name=pin["name"], version=pin["version"]))
    return MinedSource(name=pin["name"], entries=mined.entries, count=mined.count)


@rule("ontology_browser_data", attrs=NpmAttrs, provides=[MinedSource])
async def ontology_browser_data(ctx: RuleContext[NpmAttrs]) -> MinedSource:
    """Take what browser compatibility data says in words."""
    pin, fetched = await _fetched(ctx, "browser-data")
    mined: Mined = await ctx.run(MineBrowserData(archive=fetched.archive, name=pin["name"], version=pin["version"]))
    return MinedSource(name=pin["name"], entries=mined.entries, count=mined.count)


async def _fetched(ctx: RuleContext[NpmAttrs], key: str) -> tuple[dict[str, str], FetchedPackage]:
    pin = tomllib.loads((await ctx.resource(starter.PACKAGE, _PINS)).decode())[key]
    if bool(ctx.attrs.version) != bool(ctx.attrs.sha256):
        raise TargetFailed(f"Another version of {pin['name']} is pinned by both version and sha256")
    if ctx.attrs.version:
        pin = {"name": pin["name"], "version": ctx.attrs.version, "sha256": ctx.attrs.sha256}
    settings = await ctx.setting("ontology", OntologySettings)
    action = FetchNpmPackage(name=pin["name"], version=pin["version"], sha256=pin["sha256"], folder=settings.wheels)
    fetched: FetchedPackage = await ctx.run(action)
    return pin, fetched


@rule("ontology_cloud_services", attrs=CloudAttrs, provides=[MinedSource])
async def ontology_cloud_services(ctx: RuleContext[CloudAttrs]) -> MinedSource:
    """Take what the services of a cloud provider can be asked, a few operations of each."""
    pins = starter.parse_pins((await ctx.resource(starter.PACKAGE, starter.PACKAGES)).decode(), starter.PACKAGES)
    pin = pins["botocore"]
    settings = await ctx.setting("ontology", OntologySettings)
    fetched: Fetched = await ctx.run(
        FetchDistribution(
            name=pin.name, version=pin.version, wheel=pin.wheel, sha256=pin.sha256, folder=settings.wheels
        )
    )
    mined: Mined = await ctx.run(
        MineCloudServices(
            wheel=fetched.wheel, version=pin.version, license=pin.license or "Apache-2.0", cap=ctx.attrs.cap
        )
    )
    return MinedSource(name="cloud-services", entries=mined.entries, count=mined.count)
