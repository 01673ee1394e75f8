"""Converts a GGUF file to a transformers folder with bfloat16 safetensors; a script that `embedded.py` runs.

An edit that changes what it writes must raise the format version there. It knows nothing of caches and locks.
"""

import sys
from pathlib import Path


def convert(gguf: Path, folder: Path) -> None:
    """Write the model, with its quantized weights multiplied out, and its tokenizer into an existing folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
    )
    if not folder.is_dir():
        # Whoever started this was killed, and the next one to convert has cleaned up: leave nothing behind.
        raise FileNotFoundError(f"{folder} is gone")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
