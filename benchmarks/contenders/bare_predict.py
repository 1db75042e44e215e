"""The baseline of `benchmarks/predict.py`: a loop of Pillow, then one call of `model.predict`.

python bare_predict.py MODEL FOLDER
"""

import sys
from pathlib import Path

import keras
import numpy as np
from PIL import Image

model = keras.saving.load_model(sys.argv[1], compile=False)
height, width = model.input_shape[1:3]
files = sorted(Path(sys.argv[2]).rglob("*.jpg"))
images = np.stack([np.asarray(Image.open(file).convert("RGB").resize((width, height))) for file in files])
for file, probabilities in zip(files, model.predict(images, verbose=0), strict=True):
    print(f"{file},{probabilities.argmax()},{probabilities.max()}")
