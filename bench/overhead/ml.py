"""MLServer's model, in a module that it can import by name."""

from __future__ import annotations

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Simple(MLModel):
    """Adds and subtracts."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer one request."""
        a, b = (NumpyCodec.decode_input(each).astype(np.int32) for each in payload.inputs)
        outputs = [
            NumpyCodec.encode_output("OUTPUT0", a + b),
            NumpyCodec.encode_output("OUTPUT1", a - b),
        ]
        return InferenceResponse(model_name=self.name, outputs=outputs)
