"""The commands, by name."""

from importlib.util import find_spec

import typer

from cli import builds, keys, merchants, payments, refunds
from cli.audit import audit_command
from cli.deployment import alarms, replace_identity_key
from cli.doctor import doctor

app = typer.Typer(
    name="paysaga",
    help="Payments as durable workflows: Alipay, WeChat Pay and UnionPay on Temporal.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # locals hold keys and payers
)
# Left out of the images (.dockerignore): they start servers that only a checkout has.
if find_spec("cli.up"):
    from cli.demo import demo
    from cli.up import sandbox, up

    for command in (up, sandbox, demo):
        app.command()(command)
app.command()(doctor)
app.command("audit")(audit_command)
app.command()(alarms)
app.command()(replace_identity_key)
app.add_typer(merchants.app, name="merchants")
app.add_typer(builds.app, name="builds")
app.add_typer(keys.app, name="keys")
app.add_typer(payments.app, name="payments")
app.add_typer(refunds.app, name="refunds")
