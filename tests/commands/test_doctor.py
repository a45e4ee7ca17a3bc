"""`recsys doctor` tells the healthy from the broken, and what to do."""

from importlib import metadata

import pytest

from recsys.commands import doctor
from recsys.errors import InputError
from recsys.machine import processor

NEEDED = ["torch>=2.6", 'fastapi>=0.115; extra == "serve"', 'colorama>=0.4.4; python_version < "3"']


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Name → version of what is installed, to be changed by a test."""
    versions = {"recsys-zoo": "0.1.0", "torch": "2.13.0+cpu"}

    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(metadata, "requires", lambda name: NEEDED)
    monkeypatch.setattr(metadata, "version", version)
    return versions


def test_this_environment_is_healthy(capsys: pytest.CaptureFixture[str]) -> None:
    doctor.main([])
    report = capsys.readouterr().out
    system = ("Python", "site-packages", processor(), "cores", "numba cache")
    for expected in (*system, "torch", "lightning", "recbole", "serve"):
        assert expected in report


def test_what_fits_has_no_remedy(installed: dict[str, str]) -> None:
    assert list(doctor.packages()) == [("recsys-zoo", "0.1.0", ""), ("torch", "2.13.0+cpu", "")]


def test_a_missing_requirement_comes_with_its_command(installed: dict[str, str]) -> None:
    del installed["torch"]
    assert list(doctor.packages())[1] == ("torch", "missing", "pip install 'torch>=2.6'")


def test_an_old_requirement_does_not_fit(installed: dict[str, str]) -> None:
    installed["torch"] = "2.5.1"
    assert list(doctor.packages())[1] == ("torch", "2.5.1, which does not fit", "pip install 'torch>=2.6'")


@pytest.mark.parametrize("version", ["2.6.2", "2.6.3"])
def test_a_compromised_release_is_named(
    installed: dict[str, str], monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr(metadata, "requires", lambda name: ["lightning>=2.6"])
    installed["lightning"] = version
    assert "compromised" in list(doctor.packages())[1].value


def test_a_missing_extra_is_no_fault(installed: dict[str, str]) -> None:
    serve = next(finding for finding in doctor.extras() if finding.name == "serve")
    assert serve.value == "recommendations over HTTP: missing fastapi: pip install 'recsys-zoo[serve]'"
    assert serve.remedy == ""
    installed["fastapi"] = "0.165.0"
    assert next(finding for finding in doctor.extras() if finding.name == "serve").value.endswith("present")


def test_without_recbole_the_report_is_complete_and_the_command_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    version = metadata.version

    def without_recbole(name: str) -> str:
        if name == "recbole":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without_recbole)
    with pytest.raises(InputError, match=r"recbole missing: pip install --no-deps recbole==1\.2\.1"):
        doctor.doctor()
    assert "Extras" in capsys.readouterr().out


def test_an_import_that_fails_is_reported_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ImportError("libcudart.so.13: cannot open shared object file")

    (finding,) = doctor._surviving(broken)
    assert "libcudart" in finding.value
    assert finding.remedy


def test_doctor_knows_no_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        doctor.main(["--help"])
    assert stopped.value.code == 0
    assert "what is missing" in capsys.readouterr().out
