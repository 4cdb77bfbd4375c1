"""The commands, by name."""

import typer

from cli import keys, merchants, payments, refunds
from cli.audit import audit_command
from cli.demo import demo
from cli.deployment import alarms, replace_identity_key
from cli.doctor import doctor
from cli.storm import storm
from cli.up import sandbox, up

app = typer.Typer(
    name="paysaga",
    help="Payments as durable workflows: Alipay, WeChat Pay and UnionPay on Temporal.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # locals hold keys and payers
)
app.command()(up)
app.command()(sandbox)
app.command()(demo)
app.command()(doctor)
app.command("audit")(audit_command)
app.command()(storm)
app.command()(alarms)
app.command()(replace_identity_key)
app.add_typer(merchants.app, name="merchants")
app.add_typer(keys.app, name="keys")
app.add_typer(payments.app, name="payments")
app.add_typer(refunds.app, name="refunds")
