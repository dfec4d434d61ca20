"""What may be started: sequences, cells, samples; and judgements on what was. Everything here blocks on the disk."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import sequences
from bench import handover_notes
from bench.config import load_cell
from bench.daemon.desk import DeskRefused
from bench.daemon.settings import DeskSettings
from bench.daemon.views import CellView, JudgementView, NoteView, SampleView, SequenceView, Words
from bench.data_folder import DataFolder
from bench.later_evidence import judge
from bench.record import load
from bench.run_sample import judged
from drivers.errors import ConfigError
from sequences.catalogue import ids
from sequences.language import Sequence, SequenceClass


def sequence_views(settings: DeskSettings, distributions: tuple[str, ...]) -> tuple[SequenceView, ...]:
    """The library's, and the lab's own. One that cannot be read is left out: a start of it says why."""
    views: list[SequenceView] = []
    for name in (*ids(distributions), *settings.sequences):
        try:
            views.append(_view(name, _loaded(str(settings.sequences.get(name, name)), distributions)))
        except ConfigError:
            continue
    return tuple(views)


def cell_views(settings: DeskSettings) -> tuple[CellView, ...]:
    views: list[CellView] = []
    for name, path in settings.cells.items():
        try:
            cell = load_cell(path)
        except ConfigError:
            continue
        views.append(CellView(name=name, title=cell.title, chemistry=cell.chemistry or None))
    return tuple(views)


def sample_views(data: Path, *, search: str, limit: int) -> tuple[SampleView, ...]:
    """Those whose id, type, serial, batch or state holds every word, by id. Raises ConfigError."""
    words = search.lower().split()
    found: list[SampleView] = []
    for sample in DataFolder(data).samples.list():
        text = f"{sample.id} {sample.type} {sample.serial} {sample.batch} {sample.state.value}".lower()
        if all(word in text for word in words):
            found.append(
                SampleView(
                    id=sample.id,
                    type=sample.type,
                    serial=sample.serial,
                    batch=sample.batch,
                    state=sample.state.value,
                    mass_kg=sample.mass_kg,
                    runs=sample.runs,
                )
            )
        if len(found) >= limit:
            break
    return tuple(found)


def judgement(
    data: Path, folder: Path, run_id: str, question: str, *, answer: bool, note: str, by: str, utc_s: float
) -> JudgementView:
    """Add a judgement to a closed run. Raises ConfigError, RecordError."""
    folder_of_data = DataFolder(data)
    result = judge(folder, question, answer=answer, by=by, note=note, utc_s=utc_s, key=folder_of_data.seal_key())
    header = load(folder, most_rows=1).header
    if not result.awaiting and header.get("mode") == "live":
        judged(folder_of_data.samples, str(header.get("sample", "")), str(header.get("run_id", "")))
    return JudgementView(
        run_id=run_id,
        question=result.question,
        answer=result.answer,
        by=result.by,
        amendment=result.amendment,
        verdict_before=result.verdict_before,
        verdict=result.verdict,
        awaiting=tuple(result.awaiting),
    )


def note_views(data: Path, *, limit: int) -> tuple[NoteView, ...]:
    """The newest first. Raises RecordError."""
    return tuple(map(_note_view, handover_notes.read(data, limit=limit).notes))


def noted(data: Path, text: str, *, by: str, utc_s: float) -> NoteView:
    """Write a note down for the next shift. Raises DeskRefused, RecordError."""
    try:
        return _note_view(handover_notes.add(data, text, by=by, utc_s=utc_s))
    except ConfigError as error:
        raise DeskRefused("out-of-limits", error.faults[0].error, error.faults[0].fix) from None


def _note_view(note: handover_notes.Note) -> NoteView:
    return NoteView(utc_s=note.utc_s, by=note.by, text=note.text)


@lru_cache(maxsize=256)
def _loaded(name: str, distributions: tuple[str, ...]) -> Sequence:
    return sequences.load(name, distributions=distributions)


def _view(name: str, sequence: Sequence) -> SequenceView:
    standard = sequence.standard
    return SequenceView(
        id=name,
        title=Words(en=sequence.title.en, zh=sequence.title.zh),
        summary=Words(en=sequence.summary.en, zh=sequence.summary.zh),
        abuse=sequence.class_ is SequenceClass.ABUSE,
        standard=None
        if standard is None
        else " ".join(filter(None, (standard.source, standard.edition, standard.clause))),
        status=None if standard is None else standard.status.en,
        parameters={its: each.default.text for its, each in sequence.parameters.items()},
    )
