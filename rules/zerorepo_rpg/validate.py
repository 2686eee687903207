"""The named checks that every plan passes, made by a model or edited by hand: stage by stage, and all together.

A problem's message goes back to whoever made the plan, so it says exactly what to change. Interfaces by themselves are in
``interface_checks``; whether the skeleton type-checks is for mypy to say. Knows nothing of models or of the lock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from zerorepo_rpg import digraph
from zerorepo_rpg.degrees import degrees, is_abstract
from zerorepo_rpg.interface_checks import (
    check_interface,
    check_module_interfaces,
    imported_top_levels,
    node_name_problems,
    uses_problems,
)
from zerorepo_rpg.layout_checks import check_file_sizes, check_shared_folders
from zerorepo_rpg.naming import identifier_problem, module_name_problem, slug
from zerorepo_rpg.plan_model import (
    SHARED,
    BaseClasses,
    FeatureSet,
    FileLayout,
    FilePlan,
    ModulePlan,
    ModuleSet,
    NodeInterface,
    Plan,
)
from zerorepo_rpg.problem import Problem, messages, near, repeated
from zerorepo_rpg.python_names import import_names
from zerorepo_rpg.spec_model import RepositorySpec
from zerorepo_rpg.type_checks import flow_type_problems

SMALL = 6
"""With fewer features than this, one or two modules are enough."""
LARGE = 60
"""With more features than this, more than ten modules are fine."""
MODULES = (3, 10)
FILES_PER_FOLDER = 10


def check_features(value: FeatureSet, spec: RepositorySpec) -> list[Problem]:
    """Stage ``features``: ids are distinct slugs; every requirement is served, every feature is asked for."""
    found = []
    known = {requirement.id: requirement for requirement in spec.requirements}
    for again in repeated(feature.id for feature in value.features):
        found.append(Problem(check="feature_ids", message=f"two features have the id `{again}`", where=again))
    for feature in value.features:
        if slug(feature.id, fallback="") != feature.id:
            message = f"the id `{feature.id}` is no slug; write `{slug(feature.id, fallback='feature')}`"
            found.append(Problem(check="feature_ids", message=message, where=feature.id))
        if not feature.requirements:
            message = "serves no requirement; name in `requirements` what asks for it, or remove the feature"
            found.append(Problem(check="feature_requirement", message=message, where=feature.id))
        for name in feature.requirements:
            if name not in known:
                message = f"names the requirement `{name}`, which does not exist{near(name, known)}"
                found.append(Problem(check="feature_requirement", message=message, where=feature.id, unknown=name))
    served = {name for feature in value.features for name in feature.requirements}
    for requirement in spec.requirements:
        if requirement.id not in served:
            message = f"no feature serves the requirement `{requirement.id}` ({requirement.text})"
            found.append(Problem(check="requirement_feature", message=message, where=requirement.id, missing=True))
    return found


def check_modules(value: ModuleSet, features: FeatureSet) -> list[Problem]:
    """Stage ``modules``: names, how many, each feature in exactly one, and the flows between them."""
    found = list(_module_names(value.modules))
    count, wanted = len(value.modules), len(features.features)
    low, high = (1, MODULES[1]) if wanted < SMALL else (MODULES[0], MODULES[1] if wanted <= LARGE else wanted)
    if not low <= count <= high:
        message = f"there are {count} modules for {wanted} features; make it {low} to {high}"
        found.append(Problem(check="module_count", message=message, missing=True))
    known = {feature.id for feature in features.features}
    home: dict[str, list[str]] = {feature.id: [] for feature in features.features}
    for module in value.modules:
        if not module.features:
            message = "has no feature; give it one or remove the module"
            found.append(Problem(check="feature_module", message=message, where=module.id))
        for name in module.features:
            if name in known:
                home[name].append(module.id)
            else:
                message = f"names the feature `{name}`, which does not exist{near(name, known)}"
                found.append(Problem(check="feature_module", message=message, where=module.id, unknown=name))
    for name, modules in home.items():
        if len(modules) != 1:
            where = f"is in {' and '.join(f'`{module}`' for module in modules)}" if modules else "is in no module"
            message = f"the feature `{name}` {where}; put it into exactly one"
            found.append(Problem(check="feature_module", message=message, where=name, missing=not modules))
    return found + list(_flow_problems(value))


def _module_names(modules: Sequence[ModulePlan]) -> Iterator[Problem]:
    for again in repeated(module.id.casefold() for module in modules):
        message = f"two modules are called `{again}` (upper and lower case do not count); rename one"
        yield Problem(check="module_names", message=message, where=again)
    for module in modules:
        if why := module_name_problem(module.id):
            yield Problem(check="module_names", message=f"the module id `{module.id}` {why}", where=module.id)
        elif module.id in (SHARED, "tests", "docs"):
            message = f"the module id `{module.id}` is reserved; choose another"
            yield Problem(check="module_names", message=message, where=module.id)


def _flow_problems(value: ModuleSet) -> Iterator[Problem]:
    known = {module.id for module in value.modules}
    for flow in value.flows:
        where = f"{flow.source} -> {flow.target}"
        for end, name in (("source", flow.source), ("target", flow.target)):
            if name not in known:
                message = f"the flow's {end} `{name}` is no module{near(name, known)}"
                yield Problem(check="flow_ends", message=message, where=where, unknown=name)
        if flow.source == flow.target:
            yield Problem(check="flow_ends", message="a flow from a module to itself; remove it", where=where)
        if identifier_problem(flow.data_name):
            message = f"`data_name` is `{flow.data_name}`; name the data by an identifier such as `parsed_rows`"
            yield Problem(check="flow_data", message=message, where=where)
        if not flow.data_type.strip():
            message = f"the flow of `{flow.data_name}` has no `data_type`; write its Python type"
            yield Problem(check="flow_data", message=message, where=where)
        yield from flow_type_problems(flow)
    for again in repeated(f"{flow.source} -> {flow.target} ({flow.data_name})" for flow in value.flows):
        yield Problem(check="flow_data", message="this flow is written twice", where=again)
    needs = {target: [s for s in sources if s != target] for target, sources in value.needs().items()}
    for cycle in digraph.cycles(needs):
        # Needs run against the flow: told in the direction the data goes.
        path = [cycle[0], *reversed(cycle)]
        message = (
            f"data flows in a circle: {' -> '.join(f'`{name}`' for name in path)}; remove or turn one of these flows"
        )
        yield Problem(check="flow_acyclic", message=message, where=path[0])
    if len(known) > 1:
        joined = {name for flow in value.flows for name in (flow.source, flow.target) if flow.source != flow.target}
        for name in sorted(known - joined):
            message = f"no data flows into or out of the module `{name}`; add a flow, or merge it into another module"
            yield Problem(check="flow_isolated", message=message, where=name, missing=True)


def check_layout(
    value: FileLayout, module: ModulePlan, package_name: str, existing: Collection[str] = ()
) -> list[Problem]:
    """Stage ``files`` of one module: below ``<package>/<module>/``, and each of its features in exactly one file.

    Files among ``existing`` are there, and stay where they are.
    """
    found = []
    if value.package_name != package_name:
        message = f"`package_name` must be `{package_name}`, not `{value.package_name}`"
        found.append(Problem(check="file_paths", message=message))
    folder = PurePosixPath(package_name, module.id)
    for file in value.files:
        if file.module != module.id:
            message = f"`module` must be `{module.id}`, not `{file.module}`"
            found.append(Problem(check="file_module", message=message, where=file.path))
        if not PurePosixPath(file.path).is_relative_to(folder) and file.path not in existing:
            message = f"the path must be below `{folder}/`"
            found.append(Problem(check="file_paths", message=message, where=file.path))
    found += check_shared_folders(value.files, module.id)
    return found + _files(value.files, package_name, existing) + list(_feature_files(value.files, module.features))


def _files(files: Sequence[FilePlan], package_name: str, existing: Collection[str]) -> list[Problem]:
    found = [
        problem for file in files if file.path not in existing for problem in path_problems(file.path, package_name)
    ]
    for file in files:
        if file.path in existing and PurePosixPath(file.path).parts[0] != package_name:
            message = f"is not inside the package's folder `{package_name}/`"
            found.append(Problem(check="file_paths", message=message, where=file.path))
    found += list(_clashes([file.path for file in files]))
    folders: dict[PurePosixPath, int] = {}
    for path in {file.path for file in files} - set(existing):
        folder = PurePosixPath(path).parent
        folders[folder] = folders.get(folder, 0) + 1
    for folder, count in sorted(folders.items()):
        if count > FILES_PER_FOLDER:
            message = f"{count} files in one folder; join some or use subfolders, at most {FILES_PER_FOLDER}"
            found.append(Problem(check="files_per_folder", message=message, where=str(folder)))
    return found


def path_problems(path: str, package_name: str) -> list[Problem]:
    """What is wrong with the path of a file of the package, by itself."""

    def problem(message: str) -> Problem:
        return Problem(check="file_paths", message=message, where=path)

    parts = path.split("/")
    if path.startswith("/") or "\\" in path or {"", ".", ".."} & set(parts):
        return [problem(f"is no plain relative path; write it like `{package_name}/text/words.py`")]
    found = []
    # Compared part by part: `textkit2/x.py` is not inside `textkit`.
    if parts[0] != package_name or len(parts) < 2:
        found.append(problem(f"is not inside the package's folder `{package_name}/`"))
    if not parts[-1].endswith(".py"):
        return [*found, problem("is no `.py` file")]
    stem = parts[-1].removesuffix(".py")
    if stem in ("__init__", "__main__"):
        return [*found, problem(f"`{parts[-1]}` is made by rule; choose another file name")]
    for name in [*parts[1:-1], stem]:
        if why := module_name_problem(name):
            found.append(problem(f"`{name}` {why}"))
    return found


def _clashes(paths: Sequence[str]) -> Iterator[Problem]:
    for again in repeated(path.casefold() for path in paths):
        same = sorted(path for path in paths if path.casefold() == again)
        message = f"{len(same)} files have this path (upper and lower case do not count): {', '.join(same)}; keep one"
        yield Problem(check="file_clash", message=message, where=same[0])
    folders = {str(parent).casefold() for path in paths for parent in PurePosixPath(path).parents}
    for path in sorted(set(paths)):
        if path.removesuffix(".py").casefold() in folders:
            message = (
                f"the file and the folder `{path.removesuffix('.py')}/` would be the same Python module; rename one"
            )
            yield Problem(check="file_clash", message=message, where=path)


def _feature_files(files: Sequence[FilePlan], features: Iterable[str]) -> Iterator[Problem]:
    home: dict[str, list[str]] = {feature: [] for feature in features}
    for file in files:
        if not file.features:
            message = "has no feature; give it one or remove the file"
            yield Problem(check="feature_file", message=message, where=file.path)
        for name in file.features:
            if name in home:
                home[name].append(file.path)
            else:
                message = f"names `{name}`, which is no feature of module `{file.module}`{near(name, home)}"
                yield Problem(check="feature_file", message=message, where=file.path, unknown=name)
    for name, paths in home.items():
        if len(paths) != 1:
            where = f"is in {' and '.join(f'`{path}`' for path in paths)}" if paths else "is in no file"
            message = f"the feature `{name}` {where}; put it into exactly one"
            yield Problem(check="feature_file", message=message, where=name, missing=not paths)


def check_base_classes(value: BaseClasses, features: FeatureSet, package_name: str) -> list[Problem]:
    """Stage ``base_classes``: each with at least two known users, a sound interface, and a file inside the package."""
    known = {feature.id for feature in features.features}
    nodes = [base.interface() for base in value.classes]
    ids = {node.id for node in nodes}
    found = []
    for base, node in zip(value.classes, nodes, strict=True):
        if len(set(base.users)) < 2:
            message = "has fewer than two users; name the features that need it, or remove the class"
            found.append(Problem(check="base_class_users", message=message, where=base.id))
        for user in base.users:
            if user not in known:
                message = f"names the user `{user}`, which is no feature{near(user, known)}"
                found.append(Problem(check="base_class_users", message=message, where=base.id, unknown=user))
        for used in base.uses:
            if used not in ids:
                message = f"`uses` names `{used}`; a base class may use only other base classes"
                found.append(Problem(check="uses", message=message + near(used, ids), where=base.id))
        found += check_interface(node) + path_problems(base.file, package_name)
        expected = PurePosixPath(package_name, base.module)
        if not PurePosixPath(base.file).is_relative_to(expected):
            message = f"`file` is `{base.file}`; put it below `{expected}/`"
            found.append(Problem(check="file_paths", message=message, where=base.id))
    return found + node_name_problems(nodes) + uses_problems(nodes)


def validate_plan(plan: Plan, spec: RepositorySpec, existing: Collection[str] = ()) -> list[Problem]:
    """All checks on a whole plan; empty when it holds together. Each problem once, in the order of the stages.

    ``existing`` are files of people, which a plan may keep where they are.
    """
    found = check_features(plan.features, spec) + check_modules(plan.modules, plan.features)
    if module_name_problem(plan.package_name) or plan.package_name in ("tests", "docs"):
        why = module_name_problem(plan.package_name) or "is reserved"
        message = f"the package name `{plan.package_name}` {why}; name the package in the specification"
        found.append(Problem(check="package_name", message=message))
    known = {module.id for module in plan.modules.modules}
    for file in plan.layout.files:
        if file.module not in known:
            message = f"belongs to `{file.module}`, which is no module{near(file.module, known)}"
            found.append(Problem(check="file_module", message=message, where=file.path, unknown=file.module))
    for module in plan.modules.modules:
        files = tuple(file for file in plan.layout.files if file.module == module.id)
        layout = FileLayout(package_name=plan.layout.package_name, files=files)
        found += check_layout(layout, module, plan.package_name, existing)
    found += _files(plan.layout.files, plan.package_name, existing)
    return list(dict.fromkeys(found + validate_interfaces(plan, spec)))


def validate_interfaces(plan: Plan, spec: RepositorySpec) -> list[Problem]:
    """The part of ``validate_plan`` that other interfaces or base classes could put right."""
    found = check_base_classes(plan.base_classes, plan.features, plan.package_name)
    return list(dict.fromkeys(found + _check_interfaces(plan, spec)))


def _check_interfaces(plan: Plan, spec: RepositorySpec) -> list[Problem]:
    nodes = plan.nodes()
    modules = {module.id: module for module in plan.modules.modules}
    found = [
        Problem(check="module", message=f"interfaces of `{again}` are given twice", where=again)
        for again in repeated(each.module for each in plan.interfaces)
    ]
    given = {each.module for each in plan.interfaces}
    for name in modules:
        if name not in given:
            found.append(
                Problem(check="feature_interface", message="the module has no interfaces", where=name, missing=True)
            )
    for each in plan.interfaces:
        if each.module not in modules:
            message = f"interfaces are given for `{each.module}`, which is no module{near(each.module, modules)}"
            found.append(Problem(check="module", message=message, where=each.module, unknown=each.module))
            continue
        others = [node for node in nodes if node not in each.interfaces]
        found += check_module_interfaces(each, modules[each.module], plan.layout, others)
    found += node_name_problems(nodes) + uses_problems(nodes)
    found += check_file_sizes(nodes)
    found += _flow_directions(plan, nodes)
    found += _shadowed_submodules(plan, nodes)
    found += _base_classes_used(plan)
    return found + list(_undeclared_imports(nodes, spec))


def _flow_directions(plan: Plan, nodes: Sequence[NodeInterface]) -> Iterator[Problem]:
    needs = plan.modules.needs()
    module_of = {node.id: node.module for node in nodes}
    shared = {base.id for base in plan.base_classes.classes}
    upstream = {module: digraph.reachable(needs, [module]) for module in needs}
    for node in nodes:
        for used in node.uses:
            other = module_of.get(used, node.module)
            if other != node.module and used not in shared and other not in upstream.get(node.module, set()):
                message = (
                    f"uses `{used}`, but no data flows from module `{other}` to `{node.module}`; "
                    "add that flow, or do without the use"
                )
                yield Problem(check="uses_follow_flow", message=message, where=node.id)


def _shadowed_submodules(plan: Plan, nodes: Sequence[NodeInterface]) -> Iterator[Problem]:
    paths = {file.path for file in plan.layout.files} | {node.file for node in nodes}
    children = {path.split("/")[1].removesuffix(".py") for path in paths if "/" in path}
    for node in nodes:
        if node.name in children:
            message = (
                f"the package exports `{node.name}`, which hides its submodule `{plan.package_name}.{node.name}`; "
                "rename the node or the module"
            )
            yield Problem(check="exported_names", message=message, where=node.id)


def _base_classes_used(plan: Plan) -> Iterator[Problem]:
    """At least two concrete users each, by degree: nodes that use it, or that inherit from it when it is abstract."""
    found = degrees(plan)
    for base in plan.base_classes.classes:
        degree = found[base.id]
        if len(degree.users) < 2:
            listed = f"only `{degree.users[0]}` uses" if degree.users else "no node uses"
            message = f"{listed} this base class; at least two must name it in `uses`, or it goes"
            yield Problem(check="base_class_users", message=message, where=base.id)
        elif is_abstract(base.interface()) and len(degree.heirs) < 2:
            listed = f"only `{degree.heirs[0]}` inherits" if degree.heirs else "no node inherits"
            message = f"{listed} from this abstract class, {len(degree.users)} use it; at least two must, or it is no base class"
            yield Problem(check="base_class_users", message=message, where=base.id)


def _undeclared_imports(nodes: Sequence[NodeInterface], spec: RepositorySpec) -> Iterator[Problem]:
    allowed = {name for requirement in spec.dependencies for name in import_names(requirement)}
    for node in nodes:
        for module, statement in imported_top_levels(node).items():
            if module not in allowed:
                message = f"`{statement}`: `{module}` is neither standard library nor a dependency that the spec names"
                yield Problem(check="imports", message=message, where=node.id)


__all__ = [
    "Problem",
    "check_base_classes",
    "check_features",
    "check_interface",
    "check_layout",
    "check_module_interfaces",
    "check_modules",
    "messages",
    "path_problems",
    "validate_interfaces",
    "validate_plan",
]
