"""``cellbench sample``: the records of the samples in the data folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from bench.cli.ending import examples_of, output, print_json, told
from bench.cli.options import DATA, JSON
from drivers import ConfigError, Dimension, Fault, UnitError, parse_as

if TYPE_CHECKING:
    from bench.samples import Sample, SampleStore

ID = Annotated[str, typer.Argument(help="The sample's id, as on its label.")]

#: The unit that each of a sample's quantities is mostly read in.
USUAL_UNIT = {
    Dimension.MASS: "g",
    Dimension.LENGTH: "mm",
    Dimension.VOLTAGE: "V",
    Dimension.RESISTANCE: "mohm",
    Dimension.PRESSURE: "kPa",
}


def add_to(app: typer.Typer) -> None:
    commands = typer.Typer(
        help="Add, weigh, list and show sample records.",
        no_args_is_help=True,
        rich_markup_mode="rich",
        epilog=examples_of(
            'cellbench sample add C25-0007 --cell examples/cells/nmc-25ah.toml --mass "482.1 g" --balance B-3',
            "cellbench sample list",
        ),
    )
    commands.command(
        "add",
        epilog=examples_of(
            'cellbench sample add C25-0007 --cell examples/cells/nmc-25ah.toml --mass "482.1 g" --balance B-3'
        ),
    )(add)
    commands.command("weigh", epilog=examples_of('cellbench sample weigh C25-0007 --mass "482.1 g" --balance B-3'))(
        weigh
    )
    commands.command("list", epilog=examples_of("cellbench sample list --json"))(list_)
    commands.command("show", epilog=examples_of("cellbench sample show C25-0007"))(show)
    app.add_typer(commands, name="sample")


def add(
    sample: ID,
    cell: Annotated[Path, typer.Option("--cell", help="The cell file of its type.")],
    mass: Annotated[
        str | None, typer.Option(help='Weighed mass, for example "482.1 g"; `sample weigh` can add it later.')
    ] = None,
    balance: Annotated[str, typer.Option(help="The balance it was weighed on.")] = "",
    serial: Annotated[str, typer.Option(help="The maker's serial number.")] = "",
    batch: Annotated[str, typer.Option(help="Batch or tray.")] = "",
    ocv: Annotated[str | None, typer.Option(help='OCV at receipt, for example "3.62 V".')] = None,
    acir: Annotated[str | None, typer.Option(help='ACIR at receipt, for example "0.8 mohm".')] = None,
    length: Annotated[str | None, typer.Option(help='Measured, for example "148.1 mm".')] = None,
    width: Annotated[str | None, typer.Option(help="Measured width.")] = None,
    thickness: Annotated[str | None, typer.Option(help="Measured thickness.")] = None,
    diameter: Annotated[str | None, typer.Option(help="Measured diameter of a round cell.")] = None,
    fixture: Annotated[str, typer.Option(help="The fixture it is held in.")] = "",
    pressure: Annotated[str | None, typer.Option(help='Stack pressure, for example "300 kPa".')] = None,
    data: DATA = None,
    as_json: JSON = False,
) -> None:
    """Add a sample. A live run needs one with its weighed mass: give it here, or with `sample weigh` later."""
    with told(as_json=as_json):
        from bench.config import load_cell
        from bench.samples import Sample, SampleDimensions, check_sample_id

        faults: list[Fault] = []

        def read(option: str, text: str | None, dimension: Dimension) -> float | None:
            try:
                return None if text is None else _read(option, text, dimension)
            except ConfigError as error:
                faults.extend(error.faults)
                return None

        size = SampleDimensions.model_construct(
            length_mm=read("length", length, Dimension.LENGTH),
            width_mm=read("width", width, Dimension.LENGTH),
            thickness_mm=read("thickness", thickness, Dimension.LENGTH),
            diameter_mm=read("diameter", diameter, Dimension.LENGTH),
        )
        values = {
            "mass_kg": read("mass", mass, Dimension.MASS),
            "ocv_v": read("ocv", ocv, Dimension.VOLTAGE),
            "acir_ohm": read("acir", acir, Dimension.RESISTANCE),
            "stack_pressure_kpa": read("pressure", pressure, Dimension.PRESSURE),
        }
        if faults:
            raise ConfigError(faults)
        record = Sample(
            id=check_sample_id(sample),
            type=load_cell(cell).type,
            serial=serial,
            batch=batch,
            balance=balance,
            fixture=fixture,
            dimensions=SampleDimensions(**size.model_dump()),
            **values,
        )
        added = _store(data).add(record)
        if as_json:
            _print_rows([added])
        else:
            _tell(added, as_json=False)


def weigh(
    sample: ID,
    mass: Annotated[str, typer.Option(help='Weighed mass, for example "482.1 g".')],
    balance: Annotated[str, typer.Option(help="The balance it was weighed on.")],
    data: DATA = None,
    as_json: JSON = False,
) -> None:
    """Put a weighed mass into a sample's record. Bundles of earlier runs keep the record as it was."""
    with told(as_json=as_json):
        _tell(_store(data).weigh(sample, _read("mass", mass, Dimension.MASS), balance), as_json=as_json)


def list_(data: DATA = None, as_json: JSON = False) -> None:
    """List the samples of the data folder."""
    with told(as_json=as_json):
        samples = _store(data).list()
        if as_json:
            _print_rows(samples)
            return
        table = Table("sample", "type", "batch", "mass", "state", "runs")
        for each in samples:
            weighed = "not weighed" if each.mass_kg is None else f"{1000 * each.mass_kg:.1f} g"
            table.add_row(each.id, each.type, each.batch or "-", weighed, each.state.value, str(len(each.runs)))
        output.print(table)


def show(sample: ID, data: DATA = None, as_json: JSON = False) -> None:
    """Show one sample whole."""
    with told(as_json=as_json):
        _tell(_store(data).show(sample), as_json=as_json)


def _read(option: str, text: str, dimension: Dimension) -> float:
    """A quantity in its base unit; only a voltage may be zero or below. Raises ConfigError."""
    where, unit = f"--{option}", USUAL_UNIT[dimension]
    if re.fullmatch(r"\s*[+-]?[0-9.]+\s*", text):
        raise ConfigError([Fault(f"{text!r} has no unit", where, f"write '{text.strip()} {unit}' if that is the unit")])
    try:
        value = parse_as(text, dimension)
    except UnitError as error:
        raise ConfigError([Fault(str(error), where, f"write a {dimension.value} with its unit, in {unit}")]) from None
    if value <= 0 and dimension is not Dimension.VOLTAGE:
        raise ConfigError([Fault(f"{text!r} is not above zero", where, "correct the value")])
    return value


def _store(data: Path | None) -> SampleStore:
    from bench.data_folder import DataFolder

    return DataFolder.choose(data, os.environ).samples


def _tell(sample: Sample, *, as_json: bool) -> None:
    """The whole record."""
    from bench.results import SampleResult

    if as_json:
        print_json(SampleResult.of(sample))
    else:
        output.print(sample.model_dump_json(by_alias=True, indent=2), markup=False)


def _print_rows(samples: Iterable[Sample]) -> None:
    from bench.results import SampleList, SampleRow

    rows = [
        SampleRow(
            id=each.id,
            type=each.type,
            serial=each.serial or None,
            batch=each.batch or None,
            mass_kg=each.mass_kg,
            state=each.state.value,
            runs=list(each.runs),
        )
        for each in samples
    ]
    print_json(SampleList(exit_code=0, samples=rows))
