"""One small tokenizer of each kind, trained on a few sentences, with the chat template of a known family."""

from functools import cache

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

TEXT = [
    "the cat sat on the mat",
    "a dog ran over the hill",
    "TL;DR: the cat sat",
    "naïve cafés cost 3 €",
    "Hi. Who are you?",
    "user assistant system\nBe brief.\n",
    "Question: is 12 + 5 = 17?\nAnswer: yes",
    "Label: cat\nLabel: dog",
    "(a) [b] <c/d>",
]

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
MARKED = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}"
    "{% generation %}{{ m.content + '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{{ m.content + '<|im_end|>' }}{% endif %}"
    "{{ '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' }}"
    "{{ m.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
DATED = "{{ bos_token }}Today is {{ strftime_now('%d %b %Y') }}.\n" + LLAMA3.removeprefix("{{ bos_token }}")
WITHOUT_BOS = LLAMA3.removeprefix("{{ bos_token }}")
GEMMA = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' + m.content | trim "
    "+ '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
# As Qwen3's: the thoughts of earlier answers are left out, and the last answer has a block of thoughts, maybe empty.
THINKING = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}"
    "{% set parts = m.content.split('</think>') %}"
    "{% if loop.last %}{{ '<think>\n' + parts[:-1] | join('') | replace('<think>', '') | trim + '\n</think>\n\n' }}"
    "{% endif %}{{ parts[-1] | trim }}{% else %}{{ m.content }}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
# As DeepSeek-R1's: the prompt opens the thoughts, and a finished chat has none.
OPENING = THINKING.replace("{% if loop.last %}", "{% if false %}").replace(
    "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}",
    "{{ '<think>\n' }}",
)


def _train(tokenizer: Tokenizer, trainer: trainers.Trainer, **settings: str) -> PreTrainedTokenizerFast:
    tokenizer.train_from_iterator(TEXT * 4, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **settings)


def _add_bos(tokenizer: PreTrainedTokenizerFast, bos: str) -> PreTrainedTokenizerFast:
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, tokenizer.convert_tokens_to_ids(bos))]
    )
    return tokenizer


def make_byte_bpe(special: list[str], **settings: str) -> PreTrainedTokenizerFast:
    """As GPT-2, Llama 3, Qwen and SmolLM."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    return _train(tokenizer, trainer, **settings)


def make_metaspace(special: list[str], scheme: str, **settings: str) -> PreTrainedTokenizerFast:
    """As SentencePiece models: with a space before the first word, of each part or of a text."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)  # no token has a space within
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<unk>", *special, *bytes_], show_progress=False, max_token_length=8
    )
    trained = _train(tokenizer, trainer, unk_token="<unk>", **settings)
    trained.backend_tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    return trained


def make_unigram(special: list[str], **settings: str) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    trainer = trainers.UnigramTrainer(
        vocab_size=90, special_tokens=["<unk>", *special], unk_token="<unk>", show_progress=False
    )
    return _train(tokenizer, trainer, unk_token="<unk>", **settings)


def make_word_piece(special: list[str], **settings: str) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=200, special_tokens=["[UNK]", *special], show_progress=False)
    return _train(tokenizer, trainer, unk_token="[UNK]", **settings)


@cache
def get_tokenizer(kind: str) -> PreTrainedTokenizerFast:
    chat = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    llama = ["<|end_of_text|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    gemma = ["<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"]
    match kind:
        case "byte-bpe":
            return make_byte_bpe(["<eos>"], eos_token="<eos>")
        case "unigram":
            return make_unigram(["<eos>"], eos_token="<eos>")
        case "word-piece":
            return make_word_piece(["<eos>"], eos_token="<eos>")
        case "metaspace-first" | "metaspace-always":
            tokenizer = make_metaspace(
                ["</s>", "<s>"], kind.removeprefix("metaspace-"), eos_token="</s>", bos_token="<s>"
            )
            return _add_bos(tokenizer, "<s>")
        case "chatml":
            return make_byte_bpe(chat, eos_token="<|endoftext|>", chat_template=CHATML)
        case "marked":
            return make_byte_bpe(chat, eos_token="<|endoftext|>", chat_template=MARKED)
        case "thinking" | "opening":
            template = THINKING if kind == "thinking" else OPENING
            tokenizer = make_byte_bpe(chat, eos_token="<|endoftext|>", chat_template=template)
            tokenizer.add_tokens([AddedToken("<think>"), AddedToken("</think>")])
            return tokenizer
        case "llama-3" | "dated" | "without-bos":
            template = {"llama-3": LLAMA3, "dated": DATED, "without-bos": WITHOUT_BOS}[kind]
            tokenizer = make_byte_bpe(
                llama, eos_token="<|end_of_text|>", bos_token="<|begin_of_text|>", chat_template=template
            )
            return _add_bos(tokenizer, "<|begin_of_text|>")
        case "gemma":
            tokenizer = make_metaspace(gemma, "never", eos_token="<eos>", bos_token="<bos>", chat_template=GEMMA)
            return _add_bos(tokenizer, "<bos>")
    raise KeyError(kind)


PLAIN = ("byte-bpe", "unigram", "word-piece", "metaspace-first", "metaspace-always")
CHATS = ("chatml", "marked", "llama-3", "gemma", "thinking", "opening")
