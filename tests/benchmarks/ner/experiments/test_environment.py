"""What a result says of the machine that made it."""

from benchmarks.ner.experiments import environment


def test_a_machine_without_git_has_no_commit_to_tell(monkeypatch):
    monkeypatch.setattr(environment.shutil, "which", lambda program: None)
    assert environment.environment()["commit"] is None
