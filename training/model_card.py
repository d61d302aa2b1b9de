"""The model card: what a checkpoint says to people, made from its manifest."""

from translator.checkpoint import Manifest

SEPARATOR_IN_CELL = r"\|"  # a bare one, of which signatures are full, would end the table's cell


def model_card(manifest: Manifest) -> str:
    """Returns the card as Markdown."""
    sizes = manifest.model
    directions = ", ".join(f"{source} to {target}" for source, target in manifest.directions)
    lines = [
        f"# {manifest.name}",
        "",
        f"A translation model for Carousel: {directions}.",
        "",
        f"Licence of these weights: {manifest.licence}.",
        "",
        "## What it is",
        "",
        f"An LSTM encoder-decoder with attention: {sizes.encoder_layers} bidirectional encoder layer(s) of "
        f"2 x {sizes.encoder_size} units, {sizes.decoder_layers} decoder layer(s) of {sizes.decoder_size}, "
        f"{sizes.attention_heads} attention head(s), embeddings of {sizes.embedding_size} shared by source, target and "
        f"softmax, {sizes.vocab_size} SentencePiece pieces. Weights are stored as {manifest.stored_type}.",
        "",
        *_training(manifest),
        *_scores(manifest),
        *_calibrations(manifest),
        *_credits(manifest),
        "## Limits",
        "",
        "It was taught sentences of the kind its training text holds and is weaker on everything else. Rare words may "
        "be translated wrongly or copied. Do not rely on it where a wrong translation does harm.",
    ]
    return "\n".join(lines) + "\n"


def _training(manifest: Manifest) -> list[str]:
    corpora = manifest.training.get("corpora", [])
    rows = [
        f"- {' and '.join(corpus['files'])} ({corpus['source']} to {corpus['target']}"
        f"{', both directions' if corpus['both_directions'] else ''}"
        f"{', at first only' if corpus.get('epochs') else ''}): {corpus['cleaning']}."
        for corpus in corpora
    ]
    if origin := manifest.training.get("started_from"):
        rows.append(
            f"- It went on from the weights of {origin['name']} ({origin['weights_sha256'][:12]}), whose licence is "
            f"{origin['licence']}."
        )
    rows += [
        f"- Its weights are blended with those of {other['name']} ({other['weights_sha256'][:12]}), whose share is "
        f"{other['share']:g}."
        for other in manifest.training.get("blended_with", ())
    ]
    return ["## What it learned from", "", *rows, ""] if rows else []


def _scores(manifest: Manifest) -> list[str]:
    if not manifest.scores:
        return []
    rows = [
        f"| {score.test_set} | {score.source} to {score.target} | {score.metric} | {score.value:.2f} "
        f"| `{score.signature.replace('|', SEPARATOR_IN_CELL)}` |"
        for score in manifest.scores
    ]
    head = ["| test set | direction | metric | score | signature |", "|---|---|---|---|---|"]
    return ["## Scores", "", *head, *rows, ""]


def _calibrations(manifest: Manifest) -> list[str]:
    if not manifest.calibrations:
        return []
    rows = [
        f"| {curve.source} to {curve.target} | {curve.test_set}, {curve.sentences:,} | {curve.right:g} "
        f"| {curve.expected_calibration_error:.3f} |"
        for curve in manifest.calibrations
    ]
    head = [
        "| direction | measured on, sentences | right from chrF | expected calibration error |",
        "|---|---|---|---|",
    ]
    return ["## Confidence", "", *head, *rows, ""]


def _credits(manifest: Manifest) -> list[str]:
    # What the first weights were taught is owed to their sources too, however many runs ago.
    credits, training = list(manifest.credits), manifest.training
    while training := training.get("started_from", {}):
        credits += training["credits"]
        training = training["training"]
    return ["## Credits", "", *(f"- {credit}" for credit in dict.fromkeys(credits)), ""] if credits else []
