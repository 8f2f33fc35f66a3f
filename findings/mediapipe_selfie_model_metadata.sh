#!/bin/sh
# MediaPipe's tasks (Python package mediapipe 1.2.3) refuse MediaPipe's own model for people before a background, as the
# newest npm package that holds it ships it (@mediapipe/selfie_segmentation 0.1.1675465747): both of its .tflite files
# lack the metadata that ImageSegmenter needs to feed a float32 input. The older "solutions" API, whose package it is, knew
# how by itself. In Python the refusal is a FileNotFoundError, although the file is there and was read; only its text says
# that NormalizationOptions are missing. So a page that serves its models itself has to write that metadata into the file.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check mediapipe==1.2.3
npm pack --silent @mediapipe/selfie_segmentation@0.1.1675465747 >/dev/null
tar xf mediapipe-selfie_segmentation-*.tgz
cat >segment.py <<'PY'
import sys
from pathlib import Path

from mediapipe.tasks.python import BaseOptions, vision

model = Path(sys.argv[1])
assert model.read_bytes()[4:8] == b"TFL3", "a TensorFlow Lite model"
options = vision.ImageSegmenterOptions(base_options=BaseOptions(model_asset_path=str(model)), output_confidence_masks=True)
try:
    vision.ImageSegmenter.create_from_options(options)
except Exception as error:
    print(f"{type(error).__name__}: {error}")
else:
    print("taken")
PY
for name in selfie_segmentation selfie_segmentation_landscape; do
  said=$(tools/bin/python segment.py "package/$name.tflite" 2>/dev/null)
  echo "$name.tflite: $said"
  case $said in
    "FileNotFoundError: "*"NormalizationOptions metadata"*) ;;
    *) echo "This has changed." >&2; exit 1 ;;
  esac
done
