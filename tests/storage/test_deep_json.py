"""JSON nested deeper than its reader can follow, wherever a file from elsewhere holds some: a sentence, no traceback.

Manifests, origins, descriptions and preprocessing have theirs in the tests of imports, references and networks.
"""

from __future__ import annotations

import pytest

from nero_core.benchmark.reading import read_results
from nero_core.data.protocols.arrange import SPLIT_NAME, arranged_protocol
from nero_core.data.protocols.download import RECORD_NAME, _recorded
from nero_core.data.protocols.protocol import named_protocol
from nero_core.errors import ArtefactError

READERS = {
    "a benchmark's results": ("results.json", lambda path: read_results(path.parent)),
    "another source of a protocol": ("source.json", lambda path: named_protocol("kvasir-v2", path)),
    "an arranged split": (SPLIT_NAME, lambda path: arranged_protocol(path.parent)),
    "a record of a download": (RECORD_NAME, lambda path: _recorded(path.parent, "https://example.org")),
}


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":['], ids=["lists", "objects", "both"])
@pytest.mark.parametrize(("name", "read"), READERS.values(), ids=READERS)
def test_deep_json_is_a_sentence_that_names_the_file(name, read, opening, tmp_path):
    (tmp_path / name).write_text(opening * 10**5)
    with pytest.raises(ArtefactError, match=name.replace(".", r"\.")):
        read(tmp_path / name)
