import { expect, test } from "vitest";
import { fileUrl, pieceOf, thumbPath } from "./session";

test("a picture is told of in the piece of its number", () => {
  expect(pieceOf("pictures", 0)).toEqual({ path: "pictures/0000.json", place: 0 });
  expect(pieceOf("faces", 1234)).toEqual({ path: "faces/0006.json", place: 34 });
});

test("thumbnails lie in folders of a thousand", () => {
  expect(thumbPath("pictures", 12345)).toBe("thumbs/012/012345.jpg");
  expect(thumbPath("faces", 7)).toBe("face_thumbs/000/000007.jpg");
  expect(fileUrl("abc", "thumbs/000/000007.jpg")).toBe("/api/v1/artifacts/abc/file?path=thumbs%2F000%2F000007.jpg");
});
