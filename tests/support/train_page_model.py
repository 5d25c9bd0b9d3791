"""Train the page model on recorded pages and write its weights.

    python -m tests.support.train_page_model [--evaluate] CORPUS…

A corpus is a folder with `cases.json` and `bodies/`: recorded pages with the verdict of a person.
The pages are not part of this repository; docs/research/page-model.md lists their sources. Needs
scikit-learn (`pip install scikit-learn`), which nothing else here uses.

Training is a multinomial logistic regression with an L2 penalty over the features of
`probes.classify.page_model`. Rare features and small weights are left out, and the rest is
trained again. `--evaluate` leaves out one source after the other and prints what the model says of
the pages of a source that it has never seen.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from probes.classify import interstitials, page_model
from probes.models.http import Page
from probes.parsing import html
from tests.unit.probes.classify import (
    test_classifier,
    test_false_positives,
    test_notice_patterns,
    test_same_words,
    test_self_statements,
)

# The verdicts of the corpora and the kinds of pages of the page model.
KINDS_BY_VERDICT = {
    "ok": page_model.PRESENT,
    "exists": page_model.PRESENT,
    "soft-404": "not_found",
    "missing": "not_found",
    "parked": "parked",
    "suspended": "suspended",
    "under-construction": "default_page",
    "hijacked": "hijacked",
    "blocked": "blocked",
    "login-wall": "login_wall",
    "error": "server_error",
}
NETWORK_KINDS = frozenset({"facebook", "feed", "linkedin", "sitemap", "twitter", "youtube"})
"""Kinds of recorded links whose pages are not read as websites."""
MIN_PAGES_PER_FEATURE = 2
MIN_WEIGHT = 0.065
INVERSE_PENALTY = 1.0
STATEMENT_VALUE = 0.7
"""The value of a statement in training. With 1, few words besides the statement get a weight."""
FOLDS = 20
INVENTED_URL = "https://annour.example/"
WEIGHTS_PATH = Path(page_model.__file__).with_name(page_model.WEIGHTS_FILE)


class RecordedPage(NamedTuple):
    """A page of a corpus: where it is from, what a person says of it, and its features."""

    source: str
    kind: str
    features: frozenset[str]


def main() -> None:
    """Train on the corpora that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("corpora", type=Path, nargs="+")
    parser.add_argument("--evaluate", action="store_true")
    options = parser.parse_args()
    pages = [page for folder in options.corpora for page in _iter_pages(folder)]
    pages += _iter_invented_pages()
    sys.stderr.write(f"{len(pages)} pages: {dict(Counter(page.kind for page in pages))}\n")
    if options.evaluate:
        _evaluate(pages)
    else:
        write_weights(pages, WEIGHTS_PATH)


def _iter_pages(folder: Path) -> Iterator[RecordedPage]:
    for path in sorted(folder.glob("cases.json")):
        for case in json.loads(path.read_text("utf-8")):
            kind = KINDS_BY_VERDICT.get(case.get("expect", {}).get("verdict", ""))
            if kind and case["kind"] not in NETWORK_KINDS:
                source = case.get("service") or case.get("source") or case["id"]
                source = source.partition(" ")[0] if source.startswith("github:") else source
                exchanges = [e for e in case["exchanges"] if e.get("body_file") or e.get("body")]
                last, name = exchanges[-1], exchanges[-1].get("body_file")
                body = (folder / name).read_bytes() if name else last["body"].encode()
                headers = {name.lower(): text for name, text in last.get("headers", {}).items()}
                page = Page(case["link"], last["status"], headers, body)
                yield RecordedPage(source, kind, _extract_features(page))


def _iter_invented_pages() -> Iterator[RecordedPage]:
    """Yield the invented pages of the tests: short honest pages with the words of notices.

    Recorded pages are rarely so short. Each is its own source.
    """
    honest = [
        *test_self_statements.ONE_SCREEN.values(),
        *test_self_statements.OWNERS.values(),
        *test_self_statements.OPEN.values(),
        *test_same_words.PAGES.values(),
        *(
            test_notice_patterns.notice("Annour", f"<p>{text}</p>")
            for text in test_notice_patterns.SHORT.values()
        ),
    ]
    replaced = [
        *((reason, body) for reason, body, _ in test_notice_patterns.ABSENT.values()),
        *test_self_statements.STATED.values(),
        *test_same_words.REPLACED.values(),
        *(("parked", body) for body in test_self_statements.REGISTRARS.values()),
        *(
            (reason, test_classifier.notice(title, body))
            for reason, title, body in test_classifier.NOTICES
        ),
    ]
    kinds = frozenset(KINDS_BY_VERDICT.values())
    pages = [
        *((page_model.PRESENT, url, body) for url, body in test_false_positives.PRESENT.values()),
        *(
            (page_model.PRESENT, url, test_notice_patterns.build_page(title, text, menu))
            for url, title, text in test_notice_patterns.HONEST.values()
            for menu in (test_notice_patterns.MENU, "")
        ),
        *((page_model.PRESENT, INVENTED_URL, body) for body in honest),
        *((reason, INVENTED_URL, body) for reason, body in replaced if str(reason) in kinds),
    ]
    for number, (kind, url, body) in enumerate(pages):
        encoded = body if isinstance(body, bytes) else body.encode()
        page = Page(url, 200, {"content-type": "text/html"}, encoded)
        yield RecordedPage(f"invented {number}", str(kind), _extract_features(page))


def _extract_features(page: Page) -> frozenset[str]:
    document = html.parse_html(html.decode_body(page), page.url)
    return page_model.extract_features(
        document, has_password_field=interstitials.has_password_field(page)
    )


def _fit(pages: list[RecordedPage]) -> tuple[Any, Any]:
    """Return the vectorizer and the model, trained on these pages."""
    from sklearn.feature_extraction import DictVectorizer  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    kinds = [page.kind for page in pages]
    counts = Counter(feature for page in pages for feature in page.features)
    selected = {name for name, count in counts.items() if count >= MIN_PAGES_PER_FEATURE}
    for _ in range(2):
        rows = [dict.fromkeys(page.features & selected, 1.0) for page in pages]
        vectorizer = DictVectorizer()
        matrix = vectorizer.fit_transform(rows)
        names = vectorizer.get_feature_names_out()
        values = [STATEMENT_VALUE if name.startswith("says:") else 1.0 for name in names]
        matrix = matrix.multiply(values).tocsr()
        model = LogisticRegression(C=INVERSE_PENALTY, max_iter=1_000).fit(matrix, kinds)
        model.coef_ *= values  # the page model gives each feature the value 1
        largest = abs(model.coef_).max(axis=0)
        selected = {
            name for name, weight in zip(names, largest, strict=True) if weight >= MIN_WEIGHT
        }
    return vectorizer, model


def write_weights(pages: list[RecordedPage], path: Path) -> None:
    """Train on all pages and write the weights, features in alphabetical order."""
    vectorizer, model = _fit(pages)
    columns = zip(vectorizer.get_feature_names_out(), model.coef_.T, strict=True)
    rows = [(page_model.BIAS_FEATURE, model.intercept_), *sorted(columns, key=lambda c: c[0])]
    lines = ["\t".join(("feature", *model.classes_))]
    for name, weights in rows:
        values = (f"{weight:.2f}".removesuffix(".00") for weight in weights)
        lines.append(
            "\t".join((name, *("" if value in ("0", "-0") else value for value in values)))
        )
    path.write_text("\n".join(lines) + "\n", "utf-8")


def _evaluate(pages: list[RecordedPage]) -> None:
    """Print the results for pages of sources that the model was not trained on."""
    from sklearn.model_selection import GroupKFold  # noqa: PLC0415

    results: dict[str, Counter[str]] = defaultdict(Counter)
    folds = GroupKFold(FOLDS, shuffle=True, random_state=0)
    sources = [page.source for page in pages]
    for training, testing in folds.split(pages, groups=sources):
        vectorizer, model = _fit([pages[index] for index in training])
        tested = [pages[index] for index in testing]
        matrix = vectorizer.transform([dict.fromkeys(page.features, 1) for page in tested])
        present = list(model.classes_).index(page_model.PRESENT)
        for page, row in zip(tested, model.predict_proba(matrix), strict=True):
            counter = results[page.kind]
            counter["pages"] += 1
            counter["right"] += model.classes_[row.argmax()] == page.kind
            counter["not present"] += row[present] < 0.5
    lines = ["| kind | pages | right kind | called no site |", "| --- | ---: | ---: | ---: |"]
    for kind, counter in sorted(results.items()):
        figures = (counter["pages"], counter["right"], counter["not present"])
        lines.append(f"| {kind} | {' | '.join(map(str, figures))} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
