"""The whole kind: pictures grouped, faces found, broken ones named, known ones re-used, stopped and taken up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from headway.jobs.kinds.images_index import KIND
from headway.jobs.kinds.images_index.sources import example_path
from headway.jobs.order import JobOrder
from headway.spool.control import Control
from headway.spool.records import EventKind
from tests.installation import wait_until
from tests.kind_runs import Example, Ran, read_back, run_kind

NAME = "images.index"
MOTIFS = ("astronaut.png", "chelsea.png", "coffee.png")
QUICK: dict[str, Any] = {"checkpoint_seconds": 0, "batch_size": 4, "detection_side": 320, "nearest": 4}


def variants(folder: Path, motifs: tuple[str, ...] = MOTIFS) -> Path:
    """Four pictures of each motif: whole, two crops, darker; and one that is like nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    for motif in motifs:
        image = Image.open(example_path() / motif).convert("RGB")
        width, height = image.size
        made = {
            "whole": image,
            "left": image.crop((0, 0, width * 9 // 10, height * 9 // 10)),
            "right": image.crop((width // 20, height // 20, width, height)),
            "dark": ImageEnhance.Brightness(image).enhance(0.7),
        }
        for name, each in made.items():
            each.save(folder / f"{motif[:-4]}-{name}.jpg", quality=92)
    Image.open(example_path() / "gravel.png").convert("RGB").save(folder / "gravel.jpg")
    return folder


def example(folder: Path) -> Example:
    """Thirteen pictures of three motifs and one other."""
    return Example(QUICK | {"path": str(variants(folder / "pictures"))})


def of(ran: Ran, name: str) -> Any:
    return json.loads((ran.outputs["index"] / name).read_text())


def named_groups(ran: Ran, table: str = "pictures") -> list[set[str]]:
    """The groups by the motifs of their pictures."""
    pictures = of(ran, "pictures/0000.json")
    faces = of(ran, "faces/0000.json") if table == "faces" else []
    names = [pictures[face["picture"]]["name"] for face in faces] or [each["name"] for each in pictures]
    return [{names[no].split("-")[0] for no in group["members"]} for group in of(ran, "clusters.json")[table]["groups"]]


def vectors(ran: Ran) -> bytes:
    return (ran.outputs["index"] / "vectors.npy").read_bytes() + (
        ran.outputs["index"] / "face_vectors.npy"
    ).read_bytes()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return variants(tmp_path_factory.mktemp("images") / "pictures")


@pytest.fixture(scope="module")
def ran(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    done = run_kind(tmp_path_factory.mktemp("ran") / "job", NAME, QUICK | {"path": str(pictures)})
    assert done.result["outcome"] == "completed", done.result
    return done


def test_similar_pictures_are_one_group_and_others_are_noise(ran: Ran) -> None:
    assert sorted(map(sorted, named_groups(ran))) == [["astronaut"], ["chelsea"], ["coffee"]]
    assert [group["size"] for group in of(ran, "clusters.json")["pictures"]["groups"]] == [4, 4, 4]
    listed = of(ran, "pictures/0000.json")
    assert [listed[no]["name"] for no in of(ran, "clusters.json")["pictures"]["noise"]] == ["gravel.jpg"]


def test_nearest_of_a_picture_are_those_of_its_motif(ran: Ran) -> None:
    listed = of(ran, "pictures/0000.json")
    for picture in listed:
        if picture["name"] != "gravel.jpg":
            nearest = [listed[no]["name"].split("-")[0] for no, _ in picture["nearest"][:3]]
            assert nearest == [picture["name"].split("-")[0]] * 3
        cosines = [cosine for _, cosine in picture["nearest"]]
        assert cosines == sorted(cosines, reverse=True)
        assert picture["no"] not in [no for no, _ in picture["nearest"]]


def test_the_one_face_is_found_on_every_variant_of_it(ran: Ran) -> None:
    listed, faces = of(ran, "pictures/0000.json"), of(ran, "faces/0000.json")
    assert {listed[face["picture"]]["name"].split("-")[0] for face in faces} == {"astronaut"}
    assert ran.artifacts["index"]["face_detection"] == {
        "pictures": 13, "looked_at": 13, "reused": 0, "broken": 0, "with_faces": 4, "faces": 4,
    }  # fmt: skip
    whole = next(face for face in faces if listed[face["picture"]]["name"] == "astronaut-whole.jpg")
    left, top, width, height = whole["box"]
    assert 0.3 < left < 0.42
    assert 0.05 < top < 0.2
    assert width == pytest.approx(height, rel=0.05)


def test_thumbnails_and_contact_sheets_are_pictures(ran: Ran) -> None:
    folder = ran.outputs["index"]
    assert len(list(folder.glob("thumbs/000/*.jpg"))) == 13
    assert len(list(folder.glob("face_thumbs/000/*.jpg"))) == 4
    assert max(Image.open(folder / "thumbs/000/000000.jpg").size) == 192
    for group in of(ran, "clusters.json")["pictures"]["groups"]:
        assert Image.open(folder / group["sheet"]).size == (4 * 128, 128)
    assert not list(folder.glob("work.sqlite*"))


def test_counters_are_pictures_of_all_and_later_phases_know_their_size(ran: Ran) -> None:
    told = ran.of(EventKind.COUNTERS)
    for phase in ("embedding", "face_detection"):
        of_phase = [data["counters"][0] for data in told if data["phase"] == phase]
        assert of_phase[-1] == {"unit": "picture", "current": 13, "total": 13}
    first = next(place for place, data in enumerate(told) if data["phase"] == "face_detection")
    assert told[first]["counters"] == [{"unit": "picture", "current": 0, "total": 13}]
    assert any(data["phase"] == "embedding" for data in told[first:])


def test_broken_files_are_counted_and_named_and_fatal_to_nothing(tmp_path: Path) -> None:
    folder = variants(tmp_path / "pictures", ("chelsea.png",))
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.png").write_text("no picture")
    (folder / "half.jpg").write_bytes((folder / "chelsea-whole.jpg").read_bytes()[:9000])
    (folder / "link.jpg").symlink_to("/etc/hostname")
    os.mkfifo(folder / "pipe.jpg")
    Path(os.fsdecode(os.fsencode(folder) + b"/bad-\xff.jpg")).write_bytes(b"x")
    (folder / "notes.txt").write_text("left alone")
    Image.new("RGB", (1200, 1000)).save(folder / "large.png")
    ran = run_kind(tmp_path / "job", NAME, QUICK | {"path": str(folder), "most_megapixels": 1})
    assert ran.result["outcome"] == "completed", ran.result
    broken = {each["name"]: each["error"] for each in of(ran, "session.json")["broken"]}
    assert broken.keys() == {
        "empty.jpg", "text.png", "half.jpg", "link.jpg", "large.png", "pipe.jpg", "bad-?.jpg",
    }  # fmt: skip
    assert broken["bad-?.jpg"] == "its name is not UTF-8"
    assert broken["pipe.jpg"] == "is no regular file"
    assert broken["link.jpg"] == "is a link"
    assert broken["large.png"] == "has 1200 x 1000 pixels: more than most_megapixels"
    assert ran.artifacts["index"]["embedding"] == {"pictures": 12, "embedded": 5, "reused": 0, "broken": 7}
    assert ran.artifacts["index"]["other_files"] == 1


def test_picture_on_its_side_is_turned_upright(tmp_path: Path) -> None:
    folder = variants(tmp_path / "pictures", ("astronaut.png",))
    upright = Image.open(folder / "astronaut-left.jpg").resize((300, 400))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    upright.transpose(Image.Transpose.ROTATE_90).save(folder / "side.jpg", exif=exif, quality=92)
    upright.save(folder / "upright.jpg", quality=92)
    ran = run_kind(tmp_path / "job", NAME, QUICK | {"path": str(folder)})
    listed = {each["name"]: each for each in of(ran, "pictures/0000.json")}
    assert (listed["side.jpg"]["width"], listed["side.jpg"]["height"]) == (300, 400)
    assert len(listed["side.jpg"]["faces"]) == len(listed["upright.jpg"]["faces"]) == 1
    assert listed["side.jpg"]["nearest"][0][0] == listed["upright.jpg"]["no"]


def test_zip_gives_what_its_folder_gives_and_refuses_what_leads_out(pictures: Path, ran: Ran, tmp_path: Path) -> None:
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for picture in sorted(pictures.iterdir()):
            archive.write(picture, f"in/{picture.name}")
        archive.writestr("../outside.jpg", b"x")
        archive.writestr("/absolute.jpg", b"x")
        link = zipfile.ZipInfo("link.jpg")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    zipped = run_kind(tmp_path / "job", NAME, QUICK | {"path": str(path)})
    assert zipped.result["outcome"] == "completed", zipped.result
    assert vectors(zipped) == vectors(ran)
    broken = {each["name"]: each["error"] for each in of(zipped, "session.json")["broken"]}
    leads_out = "its name leads out of the archive"
    assert broken == {"../outside.jpg": leads_out, "/absolute.jpg": leads_out, "link.jpg": "is a link"}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["job", "photos.zip"]


def test_zip_never_unpacks_more_than_a_picture_may_have(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.png", bytes(3 << 20))
        archive.write(example_path() / "coffee.png", "coffee.png")
    ran = run_kind(tmp_path / "job", NAME, QUICK | {"path": str(path), "most_picture_mb": 1})
    assert of(ran, "session.json")["broken"] == [{"name": "bomb.png", "error": "has more than 1 MB"}]


def test_second_session_reuses_by_content_and_restart_does_anew(pictures: Path, tmp_path: Path) -> None:
    def session(name: str, job_id: str, **more: Any) -> dict[str, Any]:
        done = run_with_cache(tmp_path / name, tmp_path / "cache", job_id, QUICK | more)
        assert done.result["outcome"] == "completed", done.result
        return done.artifacts["index"]

    moved = tmp_path / "moved"
    moved.mkdir()
    for place, picture in enumerate(sorted(pictures.iterdir())[:9]):
        (moved / f"{place}.jpg").write_bytes(picture.read_bytes())
    Image.open(example_path() / "rocket.jpg").resize((320, 214)).save(moved / "new.jpg")
    first = session("first", "a" * 12, path=str(pictures))
    assert (first["embedding"]["reused"], first["face_detection"]["reused"]) == (0, 0)
    second = session("second", "b" * 12, path=str(moved))
    assert second["embedding"] == {"pictures": 10, "embedded": 1, "reused": 9, "broken": 0}
    assert (second["face_detection"]["looked_at"], second["face_detection"]["reused"]) == (1, 9)
    third = session("third", "c" * 12, path=str(pictures), restart_from="face_detection")
    assert (third["embedding"]["reused"], third["face_detection"]["reused"]) == (13, 0)
    assert third["clustering"] == first["clustering"]
    pruned = session("pruned", "d" * 12, path=str(pictures), cache_mb=0)
    assert pruned["embedding"]["reused"] == 13
    assert session("after", "e" * 12, path=str(pictures))["embedding"]["reused"] == 0


def order_of(config: dict[str, Any], folder: Path, cache: Path, job_id: str, **more: Any) -> JobOrder:
    return JobOrder(
        job_id=job_id, attempt=1, kind=NAME, config=config, phases=list(KIND.phases), threads=2,
        outputs={"index": str(folder / "out" / "index")}, cache=str(cache), spool_quota_bytes=64 << 20, **more,
    )  # fmt: skip


def run_with_cache(folder: Path, cache: Path, job_id: str, config: dict[str, Any]) -> Ran:
    """A run in this process with the host's cache at `cache`."""
    from headway.jobs.process import run_in_folder

    folder.mkdir()
    order_of(config, folder, cache, job_id).write(folder)
    Control.create(folder / "control")
    return read_back(Ran(run_in_folder(folder), folder, {"index": folder / "out" / "index"}))


@pytest.mark.parametrize("checkpoints", [1, pytest.param(5, marks=pytest.mark.chaos)])
def test_killed_session_goes_on_to_the_same_bits(pictures: Path, ran: Ran, tmp_path: Path, checkpoints: int) -> None:
    config = QUICK | {"path": str(pictures)}
    killed = killed_run(tmp_path / "killed", config, checkpoints)
    left = sorted((killed.folder / "checkpoints").glob("step-*"), reverse=True)
    again = run_kind(tmp_path / "again", NAME, config, attempt=2, resume_from=left, outputs=tmp_path / "killed" / "out")
    assert again.result["outcome"] == "completed", again.result
    assert vectors(again) == vectors(ran)
    assert of(again, "clusters.json") == of(ran, "clusters.json")
    assert of(again, "session.json") | {"name": ""} == of(ran, "session.json") | {"name": ""}
    resumed = int(left[0].name[5:])
    for metric in ("faces", "embedding/reused", "face_detection/reused"):
        before = {step: value for step, value in killed.metrics.get(metric, {}).items() if step <= resumed}
        assert before | again.metrics.get(metric, {}) == ran.metrics[metric]


def killed_run(folder: Path, config: dict[str, Any], checkpoints: int) -> Ran:
    """Start the job's process as a worker does and kill it once so many batches were done."""
    folder.mkdir()
    order_of(config, folder, folder / "cache", "t" * 12).write(folder)
    Control.create(folder / "control")
    process = subprocess.Popen([sys.executable, "-m", "headway.jobs.process", str(folder)])
    steps: set[str] = set()

    def far_enough() -> bool:
        assert process.poll() is None, "it ended before it could be killed"
        steps.update(path.name for path in (folder / "checkpoints").glob("step-*"))
        return len(steps) >= checkpoints

    try:
        wait_until(far_enough, every=0.005, what="its checkpoints")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    return read_back(Ran({}, folder, {"index": folder / "out" / "index"}))


def tiny_clip(folder: Path) -> Path:
    """A random CLIP with a tokenizer of letters: it holds the code, not the quality."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    text = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    vocabulary = {token: place for place, token in enumerate(["<pad>", "<s>", "</s>", *"abcdefghijklmnopqrstuvwxyz"])}
    CLIPModel(
        CLIPConfig(
            text_config=text
            | {"vocab_size": len(vocabulary), "max_position_embeddings": 16}
            | {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0},
            vision_config=text | {"image_size": 32, "patch_size": 8},
            projection_dim=8,
        )
    ).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    ).save_pretrained(folder)
    return folder


def test_clip_of_a_local_folder_embeds_pictures_and_ranks_them_by_text(pictures: Path, tmp_path: Path) -> None:
    from transformers import CLIPModel

    clip = tiny_clip(tmp_path / "clip")
    config = QUICK | {"path": str(pictures), "embedder": "clip", "embedder_path": str(clip), "queries": ["a cat"]}
    ran = run_kind(tmp_path / "job", NAME, config)
    assert ran.result["outcome"] == "completed", ran.result
    queries = of(ran, "session.json")["queries"]
    assert [query["text"] for query in queries] == ["a cat"]
    cosines = [cosine for _, cosine in queries[0]["pictures"]]
    assert len(cosines) == 13
    assert cosines == sorted(cosines, reverse=True)
    embedded = np.load(ran.outputs["index"] / "vectors.npy")
    assert embedded.shape == (13, 8)
    # the same picture through transformers' own way of it
    from headway.jobs.kinds.images_index.embedders import Clip

    ours = Clip(clip, "cpu")
    prepared = torch.from_numpy(ours.prepare(Image.open(pictures / "gravel.jpg").convert("RGB")))[None]
    theirs = CLIPModel.from_pretrained(clip)(
        input_ids=torch.tensor([[1, 2]]), attention_mask=torch.tensor([[1, 1]]), pixel_values=prepared
    )
    np.testing.assert_allclose(ours.embed(prepared.numpy()), theirs.image_embeds.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"path": "/no/such"}, "config.path: there is no /no/such on this host"),
        ({"path": "/etc/hostname"}, "config.path: hostname is neither a folder nor a .zip"),
        ({"most_pictures": 2}, "config.example: more than 2 pictures: raise most_pictures"),
        ({"embedder": "clip"}, "embedder_path: name the folder of the model for clip"),
        ({"embedder": "clip", "embedder_path": "/etc"}, "config.embedder_path: no CLIP model with its tokenizer"),
        ({"queries": ["a cat"]}, "queries: efficientnet-lite0 understands no text"),
        ({"detector": "mtcnn"}, "config.detector: mtcnn is not installed: `pip install --no-deps facenet-pytorch"),
    ],
)
def test_what_does_not_fit_is_said_by_its_field(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    ran = run_kind(tmp_path / "job", NAME, QUICK | change)
    assert ran.result["error"]["class"] == "VALIDATION"
    assert said in ran.result["error"]["message"]


def test_without_its_extra_the_kind_says_how_to_add_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert KIND.unavailable_reason is None
    del KIND.__dict__["unavailable_reason"]
    monkeypatch.setitem(sys.modules, "cv2", None)
    try:
        assert KIND.unavailable_reason == "needs cv2: install it with `pip install 'headway[images]'`"
    finally:
        del KIND.__dict__["unavailable_reason"]
