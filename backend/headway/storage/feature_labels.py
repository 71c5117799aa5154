"""Labels of features: people's words, and models', for what an index holds; a hand's is never lost to a model's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from sqlalchemy import Connection, text

from headway.storage.rows import Row, many

Source = Literal["hand", "model"]

_OF_FEATURES = text("""
SELECT feature, label, source, author, at FROM feature_labels
WHERE artifact_id = :artifact_id AND sae = :sae AND feature = ANY(:features)
""")
_OF_SAE = text("SELECT feature, label FROM feature_labels WHERE artifact_id = :artifact_id AND sae = :sae")
_COUNTS = text("SELECT sae, count(*) AS labels FROM feature_labels WHERE artifact_id = :artifact_id GROUP BY sae")
_SET = text("""
INSERT INTO feature_labels (artifact_id, sae, feature, label, source, author)
SELECT :artifact_id, :sae, named.feature, named.label, :source, :author
FROM unnest(CAST(:features AS integer[]), CAST(:labels AS text[])) AS named (feature, label)
ON CONFLICT (artifact_id, sae, feature) DO UPDATE
SET label = excluded.label, source = excluded.source, author = excluded.author, at = excluded.at
WHERE excluded.source = 'hand' OR feature_labels.source = 'model'
""")
_DELETE = text("DELETE FROM feature_labels WHERE artifact_id = :artifact_id AND sae = :sae AND feature = :feature")


def labels_of(connection: Connection, artifact_id: str, sae: str, features: Sequence[int]) -> dict[int, Row]:
    """{label, source, author, at} of these features, those that have one."""
    values = {"artifact_id": artifact_id, "sae": sae, "features": list(features)}
    return {row.pop("feature"): row for row in many(connection.execute(_OF_FEATURES, values))}


def all_labels(connection: Connection, artifact_id: str, sae: str) -> dict[int, str]:
    """Every label of an SAE's features."""
    rows = connection.execute(_OF_SAE, {"artifact_id": artifact_id, "sae": sae})
    return {row.feature: row.label for row in rows}


def count_labels(connection: Connection, artifact_id: str) -> dict[str, int]:
    """How many features of each SAE have a label."""
    return {row.sae: row.labels for row in connection.execute(_COUNTS, {"artifact_id": artifact_id})}


def set_labels(
    connection: Connection, artifact_id: str, sae: str, labels: Mapping[int, str], *, source: Source, author: str
) -> None:
    """Store labels over those there are; a model's leaves a hand's alone."""
    values = {"artifact_id": artifact_id, "sae": sae, "source": source, "author": author}
    connection.execute(_SET, values | {"features": list(labels), "labels": list(labels.values())})


def delete_label(connection: Connection, artifact_id: str, sae: str, feature: int) -> bool:
    """Forget a label; whether there was one."""
    values = {"artifact_id": artifact_id, "sae": sae, "feature": feature}
    return connection.execute(_DELETE, values).rowcount > 0
