"""A tree prints as a tree, with counts that add up, however large it is."""

from __future__ import annotations

import pickle
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rigorous_recorder import ExperimentCollection, Recorder, Tree
from rigorous_recorder.errors import ArgumentError, ReadOnlyError, UnknownAttributeError

from ..property.strategies import keys, simple_values


class _Texts(HTMLParser):
    """The texts between the tags of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, _attrs: Any) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def study() -> Recorder:
    top = Recorder(study="digits")
    for model in ("m1", "m2"):
        below = top.child(model=model, layers=2)
        for epoch in range(4):
            below.child(epoch=epoch).push(loss=1).push(loss=2)
        below.push(note="done")
    top.push(note="all done")
    return top


def test_it_is_drawn_with_branches_and_counts() -> None:
    """Each line has what is known of a recorder, and its records with those below it."""
    assert str(study().tree()).splitlines() == [
        'study="digits": 19 records, 1 of its own',
        '├── model="m1"  layers=2: 9 records, 1 of its own',
        "│   ├── epoch=0: 2 records",
        "│   ├── epoch=1: 2 records",
        "│   ├── epoch=2: 2 records",
        "│   └── epoch=3: 2 records",
        '└── model="m2"  layers=2: 9 records, 1 of its own',
        "    ├── epoch=0: 2 records",
        "    ├── epoch=1: 2 records",
        "    ├── epoch=2: 2 records",
        "    └── epoch=3: 2 records",
    ]


def test_first_and_last_children_are_listed_and_the_rest_is_reported() -> None:
    """Of many children the first and last ones are listed, and how many are between them."""
    tree = study().children[0].tree(children=3)
    assert str(tree).splitlines() == [
        'model="m1"  layers=2: 9 records, 1 of its own',
        "├── epoch=0: 2 records",
        "├── epoch=1: 2 records",
        "├── … 1 more",
        "└── epoch=3: 2 records",
    ]
    assert [child.data["epoch"] for child in tree.children] == [0, 1, 3]
    assert tree.hidden == 1


def test_no_children_are_listed_where_no_level_is_requested() -> None:
    """Counts are reported all the same."""
    tree = study().tree(depth=0)
    assert (tree.children, tree.hidden, tree.records, tree.all_records) == ([], 2, 1, 19)


@pytest.mark.parametrize(("depth", "lines"), [(0, 2), (1, 5), (2, 11), (None, 11)])
def test_depth_is_how_many_levels_are_listed(depth: int | None, lines: int) -> None:
    """Below the last level a line shows how many there are."""
    assert len(str(study().tree(depth=depth)).splitlines()) == lines


def test_a_tree_of_one_recorder() -> None:
    """A recorder without data, records or children is a line."""
    assert str(Recorder().tree()) == "recorder: 0 records"
    assert repr(Recorder(a=1).push(x=1).tree()) == "<Tree a=1: 1 record>"


def test_data_are_the_recorder_s_own_and_what_was_taken_back_is_gone() -> None:
    """What ancestors know is theirs; late data and None are seen."""
    low = Recorder(a=1).child(b=2)
    low["c"], low["b"] = 3, None
    assert low.tree().data == {"c": 3}


def test_children_stand_in_the_order_in_which_they_were_attached() -> None:
    """Also where a recorder was made earlier, or has children of its own already."""
    top, early = Recorder(), Recorder(name="early")
    early.child(name="low").push(x=1)
    top.child(name="first")
    early.set_parent(top)
    top.child(name="last")
    names = [child.data["name"] for child in top.tree().children]
    assert names == ["first", "early", "last"]


def test_many_keys_and_long_values_are_cut() -> None:
    """A line stays a line that can be looked at."""
    line = str(Recorder({f"key{n}": "x" * 500 for n in range(20)}).tree())
    assert len(line) < 150
    assert str(Recorder({f"k{n}": n for n in range(8)}).tree()) == (
        "k0=0  k1=1  k2=2  k3=3  k4=4  k5=5  +2 keys: 0 records"
    )


def test_lines_fit_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels are cut, counts never; a notebook has the same lines whatever the terminal."""
    top = Recorder()
    top.child(a="x" * 30, b="y" * 30, c="z" * 30).child(d="x" * 90).push()
    html = top.tree()._repr_html_()
    monkeypatch.setenv("COLUMNS", "50")
    lines = str(top.tree()).splitlines()
    assert [len(line) for line in lines] == [18, 50, 50]
    assert all(line.endswith("…: 1 record") for line in lines[1:])
    assert top.tree()._repr_html_() == html
    monkeypatch.setenv("COLUMNS", "5")
    assert all(line.endswith("…: 1 record") for line in str(top.tree()).splitlines()[1:])


def test_no_value_breaks_a_line_or_moves_the_cursor() -> None:
    """Line ends, escapes and marks that turn text around are shown as escapes."""
    line = str(Recorder({"a\nb": "\x1b[31m\r\n\u202e\0"}).tree())
    assert line == 'a\\nb="\\x1b[31m\\r\\n\\u202e\\x00": 0 records'


@given(data=st.dictionaries(keys, simple_values, max_size=8))
@settings(deadline=None, max_examples=50)
def test_html_has_the_text_of_the_drawing_and_nothing_else(data: dict[str, Any]) -> None:
    """Whatever names and values there are, they come out as text."""
    tree = Recorder(data).tree()
    page = _Texts(tree._repr_html_())
    assert page.tags == {"pre"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "1000")
        text = str(tree)
    assert "".join(page.texts) == text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": -1}, "a tree of -1 levels .* expected a depth of 0 or more, or None"),
        ({"children": 0}, "0 children .* expected 1 or more"),
        ({"children": -1}, "-1 children .* expected 1 or more"),
    ],
)
def test_a_tree_of_less_than_nothing_is_refused(
    tmp_path: Path, options: dict[str, int], message: str
) -> None:
    """Of a recorder and of a collection, with what is possible."""
    for top in (study(), ExperimentCollection(tmp_path / "study")):
        with pytest.raises(ArgumentError, match=message):
            top.tree(**options)


def test_collection_shows_experiments_with_how_they_went(tmp_path: Path) -> None:
    """The folder's name and size are in the first line; errors and open ends are reported."""
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    with collection.new_experiment(learning_rate=0.1) as experiment:
        experiment.push(x=1)
    with pytest.raises(ZeroDivisionError):
        with collection.new_experiment():
            raise ZeroDivisionError
    collection.new_experiment().__enter__()
    collection.recorder["who"] = "me"
    tree = collection.tree()
    top, *below = str(tree).splitlines()
    assert top.startswith('study.collection  who="me": 1 record, ')
    assert top.endswith("B")
    assert below == [
        "├── experiment 1  learning_rate=0.1: 1 record",
        "├── experiment 2 (failed: ZeroDivisionError): 0 records",
        "└── experiment 2 (not ended): 0 records",
    ]
    assert tree.size == collection.size_on_disk()
    collection.close()
    assert str(collection.tree()).splitlines()[1:] == below


def test_collection_without_anything(tmp_path: Path) -> None:
    """A folder that is not there yet has no bytes; records of the root alone are counted."""
    collection = ExperimentCollection(tmp_path / "study")
    assert str(collection.tree()) == "study.collection: 0 records, 0 bytes"
    collection.recorder.push(x=1).push(x=2)
    assert (collection.tree().records, collection.tree().all_records) == (2, 2)


def test_tree_below_a_recorder_of_a_collection(tmp_path: Path) -> None:
    """It starts at the recorder; the rest of the collection isn't in it."""
    collection = ExperimentCollection(tmp_path / "study")
    with collection.new_experiment() as experiment:
        model = experiment.child(model="m")
        model.push(x=1)
        experiment.push(x=1)
    assert str(model.tree()) == 'model="m": 1 record'


def _as_told(recorder: Recorder) -> tuple[dict[str, Any], int, int, list[Any]]:
    below = [_as_told(child) for child in recorder.children]
    count = len(recorder.records)
    return dict(recorder.local_data), count, count + sum(each[2] for each in below), below


def _as_shown(tree: Tree) -> tuple[dict[str, Any], int, int, list[Any]]:
    assert tree.hidden == 0
    return tree.data, tree.records, tree.all_records, [_as_shown(each) for each in tree.children]


@given(parents=st.lists(st.integers(0, 1000), max_size=25), counts=st.data())
@settings(deadline=None, max_examples=40)
def test_any_tree_is_as_the_recorders_say_it_is(parents: list[int], counts: st.DataObject) -> None:
    """Shape, data and counts are those that one gets by walking the recorders."""
    recorders = [Recorder(at=-1)]
    for at, parent in enumerate(parents):
        recorders.append(recorders[parent % len(recorders)].child(at=at))
        for _ in range(counts.draw(st.integers(0, 3))):
            recorders[-1].push(x=1)
    assert _as_shown(recorders[0].tree(children=100)) == _as_told(recorders[0])


def test_twenty_thousand_recorders_and_only_those_listed_are_read_as_objects() -> None:
    """Counts of all are summed up; what is hidden is a number."""
    top = Recorder()
    for model in range(20):
        below = top.child(model=model)
        for epoch in range(1_000):
            below.child(epoch=epoch).extend({"step": np.arange(2)})
    tree = top.tree(children=4)
    assert tree.all_records == 40_000
    assert (len(tree.children), tree.hidden) == (4, 16)
    assert {child.all_records for child in tree.children} == {2_000}
    assert {(len(child.children), child.hidden) for child in tree.children} == {(4, 996)}
    assert [child.data["epoch"] for child in tree.children[0].children] == [0, 1, 998, 999]


def test_a_deep_tree_is_drawn_without_recursion() -> None:
    """A chain of recorders is longer than Python's calls may be deep."""
    top = low = Recorder()
    for level in range(1_200):
        low = low.child(level=level)
    low.push(x=1)
    lines = str(top.tree()).splitlines()
    assert len(lines) == 1_201
    assert all(line.endswith(": 1 record") for line in lines)


def test_a_tree_in_a_notebook_is_monospaced() -> None:
    """Also on a page whose own style says nothing of ``pre``, as of an export."""
    html = Recorder(a=1).push().tree()._repr_html_()
    assert html.startswith('<pre style="font-family:monospace;')


# --- attributes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["memory", "collection", "another process"])
def test_attributes_are_own_and_inherited_ones(place: str, tmp_path: Path) -> None:
    """As the records have them: the nearest value, without what was taken back."""
    top = Recorder(lr=0.1, note="a", config={"a": 1})
    if place != "memory":
        collection = ExperimentCollection(tmp_path / "study", quiet=True)
        top.set_parent(collection.recorder)
    model = top.child(model="m1", lr=0.2, seed=None)
    model.push(step=0)
    top["note"], top["late"] = None, 5
    if place == "another process":
        model = pickle.loads(pickle.dumps(model))
        assert model.parent is not None
    assert dict(model.attributes) == {"config": {"a": 1}, "late": 5, "lr": 0.2, "model": "m1"}
    assert dict(model.records[0]) == {**model.attributes, "step": 0}
    model.attributes["config"]["a"] = 2
    assert top["config"] == {"a": 1}


def test_an_attribute_that_is_not_its_own_is_refused_with_the_way_to_it() -> None:
    """A KeyError that names where inherited ones are; one is removed by setting it to None."""
    model = Recorder(lr=0.1).child(model="m1")
    with pytest.raises(KeyError) as caught:
        model["lr"]
    assert str(caught.value) == (
        "'lr' is not an attribute of this recorder itself;"
        " recorder.attributes has the inherited ones, too"
    )
    assert isinstance(caught.value, UnknownAttributeError)
    with pytest.raises(ReadOnlyError, match=r"recorder\['model'\] = None"):
        del model["model"]
    assert model["model"] == "m1"


def test_nothing_is_written_beside_the_tree(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Arrow complains on standard error of buffers whose address it does not like."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        experiment = collection.start(lr=0.1)
        for name in ("m1", "m2"):
            model = experiment.child(model=name)
            for step in range(3):
                model.push(step=step)
        assert "model" in str(collection.tree())
        assert len(collection.level("model")) == 2
        assert len(list(collection.overview())) == 1
    assert capfd.readouterr().err == ""
