import pytest

from tiphys.api.quantities import amount, canonical


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("1024Mi", "1Gi"),
        ("1000Mi", "1000Mi"),
        ("0.5Gi", "512Mi"),
        ("0.5Ki", "512"),
        ("1.0001Ki", "1024102400u"),
        ("-1024Mi", "-1Gi"),
        ("1048576Ti", "1Ei"),
        ("0.25", "250m"),
        ("2000m", "2"),
        ("1000", "1k"),
        ("8192M", "8192M"),
        ("1e3", "1e3"),
        ("10e3", "10e3"),
        ("1000e0", "1e3"),
        ("1.5e3", "1500"),
        ("1.500", "1.500"),
        ("1.5", "1500m"),
        ("1.000", "1"),
        ("0.500", "500m"),
        ("007", "007"),
        ("0", "0"),
        ("-0.0", "0"),
        ("0.0000000001", "1n"),
        ("1500000u", "1500m"),
        ("12345678901234567890.5", "9223372036854775807"),
        (".5", "500m"),
        ("5.", "5."),
    ],
)
def test_quantities_are_spelled_as_the_api_server_does(typed: str, wanted: str) -> None:
    assert canonical(typed) == wanted


@pytest.mark.parametrize("text", ["", ".", "1Zi", "m", "1 k", "one", "1e", "1e99999"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        canonical(text)


def test_amounts_are_equal_however_they_are_spelled() -> None:
    assert {amount(text) for text in ("1.5", "1500m", "1.500", "15e-1")} == {"1.5"}
    assert amount("1Ki") == amount("1024") == "1024"
