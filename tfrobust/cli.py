"""The command line: `tfrobust list | card | summary | train | evaluate | export | benchmark | reproduce | demo`."""

import argparse
import json
import pathlib
import sys

from tfrobust.data import DATASETS

MODES = ("float16", "dynamic", "int8", "int8x16", "packed")


def main(argv=None):
    """Run one command. Returns the exit code: 0, or 2 with one line on standard error for bad input."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except ValueError as error:
        print(f"tfrobust: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def _parser():
    parser = argparse.ArgumentParser(prog="tfrobust", description="Quantized networks that resist adversarial attack.")
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(name, run, summary, *positional):
        sub = commands.add_parser(name, help=summary, description=summary)
        for argument in positional:
            sub.add_argument(argument)
        sub.add_argument("--json", action="store_true", help="print JSON instead of a table")
        sub.set_defaults(run=run)
        return sub

    sub = command("list", _list, "list the models: figures of those that have trained weights, and what each costs")
    sub.add_argument("--data", choices=DATASETS, help="only models for this data set")
    sub.add_argument("--trained", action="store_true", help="only models that have trained weights")
    sub.add_argument("--markdown", action="store_true", help="print the table that the README holds")

    command("card", _card, "show a model's card", "model")

    sub = command("summary", _summary, "count a model's parameters, size and MACs by precision", "model")
    sub.add_argument("--markdown", action="store_true", help="print Markdown tables")

    sub = command("evaluate", _evaluate, "measure a model clean, under attack and in the worst case", "model")
    _data_options(sub, several=True)
    _evaluate_options(sub)

    sub = command("train", _train, "train a network and save it as .keras", "model")
    _data_options(sub)
    _train_options(sub)

    sub = command("export", _export, "export a model to TFLite and prove the file", "model")
    sub.add_argument("path", nargs="?", metavar="FILE.tflite", help="(default: MODEL.QUANTIZE.tflite)")
    _data_options(sub, n="1000")
    sub.add_argument("--quantize", choices=MODES, help="(default: float32)")
    sub.add_argument("--verify", action="store_true", help="also run ZOO on the file, time it, take its memory")

    sub = command("benchmark", _benchmark, "time TFLite files in turns, on 1 and 2 threads, and take their memory")
    sub.add_argument("files", nargs="+", metavar="FILE.tflite")
    sub.add_argument("--runs", type=int, default=100, help="runs per file and number of threads (default: 100)")

    sub = command("reproduce", _reproduce, "measure a table or figure of the papers again")
    sub.add_argument("item", nargs="?", metavar="PAPER/ITEM", help="e.g. dqa/table1; without it, all are listed")
    sub.add_argument("-n", "--n", type=int, help="number of test images (default: 1000, or the paper's)")
    sub.add_argument("--out", metavar="FOLDER", help="write CSV, Markdown and a chart here")

    sub = command("demo", _demo, "lenet_dqa2 on real digits: attacked, exported to int8, the file attacked")
    sub.add_argument("--out", default="lenet_dqa2.int8.tflite", metavar="FILE.tflite")
    return parser


def _evaluate_options(sub):
    sub.add_argument("--suite", default="adaptive", help="suite of attacks (default: adaptive)")
    sub.add_argument("--norm", choices=("inf", "2"), default="inf", help="norm of the budget (default: inf)")
    sub.add_argument("--n-costly", type=int, metavar="N", help="images for attacks of over 500 queries each")
    sub.add_argument("--transfer-from", metavar="MODEL", nargs="+", help="models whose adversarial images are tried")
    sub.add_argument("--time-limit", type=float, metavar="SECONDS", help="start no further batch after this time")
    sub.add_argument("--state", metavar="FILE", help="keep results here; a killed evaluation goes on from it")
    sub.add_argument("--html", metavar="FILE.html", help="write a page that opens without network")


def _train_options(sub):
    sub.add_argument("--out", required=True, metavar="FILE.keras", help="where the trained model goes")
    sub.add_argument("--defense", choices=("standard", "fgsm", "pgd"), default="pgd", help="(default: pgd)")
    sub.add_argument("--epochs", type=int, default=10)
    sub.add_argument("--batch-size", type=int, default=128)
    sub.add_argument("--learning-rate", type=float, default=1e-3)
    sub.add_argument("--clean-weight", type=float, default=0.5, help="share of clean images in the loss (default: 0.5)")
    sub.add_argument("--ramp-epochs", type=float, default=2.0, help="epochs over which eps grows (default: 2)")
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--folder", help="folder for checkpoints; a killed run started again with it goes on")


def _data_options(sub, several=False, n="all"):
    sub.add_argument("--data", choices=DATASETS, help="data set (default: the one at hand for the model's input)")
    more = {"nargs": "+", "help": "budgets in pixel units; several give a curve (default: the data set's usual one)"}
    one = {"help": "Linf budget in pixel units (default: the data set's usual one)"}
    sub.add_argument("--eps", type=float, **(more if several else one))
    sub.add_argument("-n", "--n", type=int, help=f"number of images (default: {n})")


def _load(name):
    """A zoo model by name, or a `.keras` file."""
    import tfrobust

    if not name.endswith(".keras"):
        return tfrobust.zoo.load(name)
    import keras

    if not pathlib.Path(name).is_file():
        raise ValueError(f"the model file must exist. Received: {name!r}")
    return keras.models.load_model(name)


def _data_and_eps(arguments, model):
    """Name of the data set and budget, as asked for or as usual for the model."""
    from tfrobust import data

    name = arguments.data or data.for_shape(model.input_shape[1:])
    return name, data.EPS[name] if arguments.eps is None else arguments.eps


def _print(table, plain, as_json):
    if as_json:
        print(json.dumps(plain, indent=2))
    else:
        import rich.console

        # Into a pipe or file rich would cut a table at 80 columns.
        rich.console.Console(width=None if sys.stdout.isatty() else 160).print(table)


def _list(arguments):
    import dataclasses

    import tfrobust

    cards = tfrobust.zoo.list_models(arguments.data, arguments.trained or None)
    if arguments.markdown:
        print(cards.markdown())
        return
    _print(cards.table(), [dataclasses.asdict(card) for card in cards], arguments.json)


def _card(arguments):
    import dataclasses

    import rich.markdown

    import tfrobust

    card = tfrobust.zoo.card(arguments.model)
    _print(rich.markdown.Markdown(str(card)), dataclasses.asdict(card), arguments.json)


def _summary(arguments):
    import tfrobust

    name = arguments.model
    # Untrained networks count alike, so a model needs no weights.
    model = _load(name) if name.endswith(".keras") else tfrobust.zoo.load(name, weights=None)
    counted = tfrobust.summary(model)
    if arguments.markdown:
        print(counted.markdown())
        return
    _print(counted.table(), counted.to_dict(), arguments.json)


def _evaluate(arguments):
    import tfrobust

    model = _load(arguments.model)
    name, eps = _data_and_eps(arguments, model)
    report = tfrobust.evaluate(
        model,
        name,
        eps[0] if isinstance(eps, list) and len(eps) == 1 else eps,
        suite=arguments.suite,
        norm=float(arguments.norm),
        n=arguments.n,
        n_costly=arguments.n_costly,
        source=[_load(source) for source in arguments.transfer_from or ()],
        time_limit=arguments.time_limit,
        state=arguments.state,
    )
    if arguments.html:
        report.to_html(arguments.html)
    _print(report.table(), report.to_dict(), arguments.json)


def _train(arguments):
    import keras

    from tfrobust import architectures, attacks, checks, data, files, training

    checks.require(arguments.out.endswith(".keras"), "--out must end in .keras.", out=arguments.out)
    keras.utils.set_random_seed(arguments.seed)
    model = architectures.build(arguments.model)
    name, eps = _data_and_eps(arguments, model)
    defense = training.Standard()
    if arguments.defense != "standard":
        steps = {"eps_iter": eps / 4, "nb_iter": 7} if arguments.defense == "pgd" else {}
        mix = {"clean_weight": arguments.clean_weight, "ramp_epochs": arguments.ramp_epochs}
        defense = training.AdversarialTraining(attacks.get(arguments.defense, eps=eps, **steps), **mix)
    history = training.fit(
        model,
        data.load(name, "train", arguments.n),
        validation=data.load(name, "validation"),
        defense=defense,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        seed=arguments.seed,
        folder=arguments.folder,
        on_epoch=None if arguments.json else print,
    )
    files.write_atomically(arguments.out, model.save)
    if arguments.json:
        print(json.dumps([epoch._asdict() for epoch in history], indent=2))


def _export(arguments):
    import rich.table

    import tfrobust

    model = _load(arguments.model)
    name, eps = _data_and_eps(arguments, model)
    is_own = arguments.model.endswith(".keras")
    card = None if is_own else tfrobust.zoo.card(arguments.model).brief()
    stem = pathlib.Path(arguments.model).stem if is_own else arguments.model
    report = tfrobust.export.to_tflite(
        model,
        arguments.path or f"{stem}.{arguments.quantize or 'float32'}.tflite",
        arguments.quantize,
        data=name,
        eps=eps,
        n=1000 if arguments.n is None else arguments.n,
        card=card,
        verify=arguments.verify,
    )
    table = rich.table.Table(show_header=False, title=f"{arguments.model} as TFLite, proven on {name}")
    for row in report.rows():
        table.add_row(*row)
    _print(table, report.to_dict(), arguments.json)


def _benchmark(arguments):
    import rich.table

    from tfrobust import export

    speeds = export.benchmark(*arguments.files, runs=arguments.runs)
    threads = list(speeds[0].milliseconds)
    columns = ("file", "KiB", *(f"ms, {n} thread{'s'[: n - 1]}" for n in threads), "peak memory added, KiB")
    table = rich.table.Table(*columns, title=f"medians of {arguments.runs} runs, one image each")
    for speed in speeds:
        taken = [f"{speed.milliseconds[n]:.3f}" for n in threads]
        memory = "" if speed.memory is None else f"{speed.memory / 1024:,.0f}"
        table.add_row(speed.path, f"{speed.bytes / 1024:,.0f}", *taken, memory)
    _print(table, [speed.to_dict() for speed in speeds], arguments.json)


def _reproduce(arguments):
    import rich.table

    from tfrobust import reproduce

    if arguments.item is None:
        table = rich.table.Table("item", "what it shows")
        titles = {name: item.title for name, item in reproduce.ITEMS.items()}
        for row in titles.items():
            table.add_row(*row)
        _print(table, titles, arguments.json)
        return
    if arguments.out is not None and not pathlib.Path(arguments.out).is_dir():  # before minutes of work, not after
        raise ValueError(f"--out must be a folder. Received: {arguments.out!r}")
    result = reproduce.run(arguments.item, arguments.n)
    if arguments.out is not None:
        result.write(arguments.out)
    _print(result.table(), result.to_dict(), arguments.json)


def _demo(arguments):
    from tfrobust import demo

    report, exported = demo.demo(arguments.out)
    plain = {"model": report.to_dict(), "file": exported.to_dict()}
    _print(demo.table(report, exported), plain, arguments.json)


if __name__ == "__main__":
    sys.exit(main())
