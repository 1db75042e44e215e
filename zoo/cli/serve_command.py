"""`zoo serve`: a server that names the classes of images."""

from __future__ import annotations

import click

from zoo.cli import common


@click.command("serve")
@click.argument("model")
@common.host_option
@common.port_option(8000, "0 for any that is free")
@common.number_option(
    "--max-request-mb", low=1, default=20, help="Largest request that is accepted, in megabytes."
)
@common.plugin_option
def command(model: str, host: str, port: int, max_request_mb: int) -> None:
    """Serve a model: a page for images, and MLflow's scoring server, until Ctrl-C.

    MODEL is a study, a registered model, an address in MLflow, the folder of a run, or a .keras file.
    An image that is posted to /invocations, as a file or as base64 in JSON, is answered with its classes
    and their probabilities. The formats of MLflow's scoring server work as well.

    \b
    zoo serve mnist_cnn
    curl -F image=@digit.png http://127.0.0.1:8000/invocations
    """
    from zoo import serving

    with serving.listen(host, port) as listener:
        with common.open_display() as display:
            display.phase("loading the model …")
            classifier = common.load_classifier(model, display)
        address = serving.address(listener, host)
        app = serving.application(classifier, host=host, address=address, max_request_mb=max_request_mb)
        if not serving.is_loopback(host):
            common.print_warning(
                f"everyone who can reach {host} can use this model; "
                "zoo serve has no passwords and no encryption"
            )

        def print_address() -> None:
            click.echo(address)
            common.print_note(f"serving {classifier.name}; press Ctrl-C to stop")
            common.print_note(f"curl -F image=@photo.jpg {address}/invocations")

        serving.run(app, listener, print_address)
