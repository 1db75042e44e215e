"""As packages are: importing it changes what others use. Only functions of sound plugins import it."""

import os
import warnings

os.environ["CHANGES_WHEN_IMPORTED"] = "1"
warnings.simplefilter("ignore", ImportWarning)
