"""Imports that fail: what was meant, and an installation of nothing but what is known."""

from __future__ import annotations

import re

import pytest

from resilience import ErrorCategory
from resilience.report import Failure
from resilience.report._diagnosis import diagnose
from resilience.report._diagnosis.known_names import PACKAGES, SAME_NAME
from resilience.report._traceback_parser import report_of_text
from resilience.report.diagnosis import Diagnosis
from tests.report.faulty import failure_of


def explained(message: str, kind: str = "ModuleNotFoundError", **given: object) -> Diagnosis:
    """Return what is said of an exception of which the message alone is known."""
    return diagnose(Failure(category=ErrorCategory.IMPORT, error_type=kind, message=message, **given))


def words(diagnosis: Diagnosis) -> str:
    return " ".join([diagnosis.immediate_cause, *diagnosis.contributing_factors, *diagnosis.suggestions])


MEANT = {
    "import pandass": "import pandas",
    "import Numpy": "import numpy",
    "import requets": "import requests",
    "import asyncioo": "import asyncio",
    "import polar": "import polars",
    "import scikit_learn": "import sklearn",
    "import sklearn.preprocesing": "import sklearn.preprocessing",
    "from sklearn.preprocesing import StandardScaler": "from sklearn.preprocessing import StandardScaler",
    "from sklearn import preprocesing": "from sklearn import preprocessing",
    "import matplotlib.pylot as plt": "import matplotlib.pyplot as plt",
    "from matplotlib import pylot": "from matplotlib import pyplot",
    "import scipy.optimise": "import scipy.optimize",
    "import concurrent.futurs": "import concurrent.futures",
    "import sklearn.cross_validation": "import sklearn.model_selection",
}


@pytest.mark.parametrize("code", MEANT)
def test_a_name_that_is_nearly_right_is_corrected_by_what_is_installed(code):
    diagnosis = diagnose(failure_of(code))
    assert diagnosis.suggested_fix == MEANT[code]
    assert "install" not in words(diagnosis)


UNKNOWN = [
    "totally_invented_zz",
    "helper",
    "my_utils",
    "data_loader_2",
    "langchian",
    "pandas_tools_extra",
    "np_pro",
]


@pytest.mark.parametrize("level", [None, "strict", "moderate"])
@pytest.mark.parametrize("module", UNKNOWN)
def test_no_unknown_name_is_installed(module, level):
    given = {} if level is None else {"specifics": {"security_level": level, "available_modules": ["math", "numpy"]}}
    for diagnosis in (
        diagnose(failure_of(f"import {module}", **given)),
        explained(f"No module named '{module}'", **given),
    ):
        assert "pip" not in words(diagnosis) and "nstall" not in words(diagnosis)
        assert diagnosis.suggestions


def test_an_unknown_name_is_reported_as_unknown():
    (tip,) = diagnose(failure_of("import totally_invented_zz")).suggestions
    assert tip == (
        "No package is known that has a module totally_invented_zz: remove the import, and write what it was to do."
    )


def test_a_name_that_is_like_a_known_one_which_is_not_installed_is_asked_about():
    assert diagnose(failure_of("import tensorfolw")).suggestions == ("Did you mean tensorflow?",)


def test_a_misspelt_module_is_recognised_also_where_little_is_allowed():
    specifics = {"security_level": "strict", "available_modules": ["math", "json", "datetime", "random"]}
    diagnosis = diagnose(failure_of("import pandass", specifics=specifics))
    assert diagnosis.suggestions[0].startswith("Did you mean pandas")
    assert diagnosis.suggested_fix is None


@pytest.mark.parametrize(("module", "package"), [("cv2", "opencv-python"), ("yaml", "PyYAML"), ("tensorflow",) * 2])
def test_a_known_package_that_is_missing_may_be_installed(module, package):
    assert f"pip install {package}" in words(explained(f"No module named '{module}'"))
    allowed = explained(f"No module named '{module}'", specifics={"available_modules": [module, "math"]})
    assert f"{module} may be imported, and is not installed where the program runs: pip install {package}." in (
        allowed.suggestions
    )


def test_a_part_of_a_package_is_never_installed_but_where_it_is_a_package_itself():
    assert "pip" not in words(explained("No module named 'sklearn.preprocesing'"))
    assert "sklearn is there and has no module preprocesing: look up its name." in (
        explained("No module named 'sklearn.preprocesing'").suggestions
    )
    assert "pip install protobuf" in words(explained("No module named 'google.protobuf'"))


def test_a_saved_traceback_gets_no_command_for_an_unknown_name():
    text = 'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\n    import pandass\n'
    report = report_of_text(f"{text}ModuleNotFoundError: No module named 'pandass'")
    assert any("pandas" in each for each in report.suggestions)
    assert "pip install" not in report.to_json(4) + report.to_llm() + report.render()


@pytest.mark.parametrize(
    "message",
    [
        "/srv/lib/python3.12/site-packages/zz_mod/_core.so: undefined symbol: PyFoo",
        "libGL.so.1: cannot open shared object file: No such file or directory",
        "DLL load failed while importing _zz: The specified module could not be found.",
    ],
)
def test_what_cannot_be_loaded_is_reinstalled_by_name_or_not_at_all(message):
    commands = re.findall(r"pip install (?:--force-reinstall ?)?(\S*)", words(explained(message, "ImportError")))
    assert commands == []


def test_what_finds_no_memory_is_not_reinstalled():
    diagnosis = explained("libscipy_openblas64_.so: failed to map segment from shared object", "ImportError")
    assert diagnosis.immediate_cause == "there is not enough memory to load a library"
    assert "nstall" not in words(diagnosis)


def test_the_tables_name_modules():
    assert all(name.isidentifier() and name not in PACKAGES for name in SAME_NAME)
