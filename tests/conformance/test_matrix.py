"""Does the matrix leave nobody out, and does its page say what it says?"""

import pytest

from conformance.cells import Promise, cells
from conformance.columns import COLUMNS
from conformance.matrix import diagonal
from conformance.report import PAGE, page
from conformance.rows import ROWS
from tiphys.core.intent import Feature
from tiphys.traffic.table import ROUTERS, Product

NOT_YET = {Feature.EXPERIMENTS}
"""What routers can say but no Rollout can ask for: the controller does not carry experiments out."""


def test_every_router_of_the_table_has_a_row() -> None:
    assert {product for row in ROWS for product in row.products} >= {product.name for product in ROUTERS}


@pytest.mark.parametrize("product", ROUTERS, ids=lambda product: product.name)
def test_whatever_a_router_can_do_is_tried_in_some_row_of_it(product: Product) -> None:
    tried = {
        feature
        for cell in cells()
        if product.name in cell.row.products and cell.promise is not Promise.REFUSED
        for feature in (*cell.column.needs, *([Feature.SUBSETS] if cell.row.subsets else []))
    }

    assert tried >= product.supports - NOT_YET


def test_the_diagonal_meets_every_row_and_every_column() -> None:
    chosen = diagonal()

    assert {cell.row.name for cell in chosen if cell.promise is not Promise.REFUSED} == {row.name for row in ROWS}
    assert {cell.column.name for cell in chosen} == {column.name for column in COLUMNS}
    assert len(chosen) < len(cells()) / 3


def test_the_page_says_what_the_routers_support_now() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "docs/routers.md is out of date: `make conformance` writes it"
