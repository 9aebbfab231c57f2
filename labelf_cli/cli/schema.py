"""``labelf schema``."""


def schema() -> None:
    """Print the JSON Schema of the config file, for completion in editors.

    Example: labelf schema > models.schema.json
    """
    import json

    from labelf_cli.config import Config

    print(json.dumps(Config.model_json_schema(), indent=2))
