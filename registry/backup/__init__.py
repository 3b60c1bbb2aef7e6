"""Everything that a project keeps, in one folder: `routemoa backup FOLDER`, and back: `routemoa restore FOLDER`.

FOLDER/manifest.json     when, by which release, and the checksum of every file; written last
FOLDER/files/            what the project keeps in files: SQLite databases as of one moment, keys, scorers, MLflow's files, data, answers
FOLDER/routemoa.dump     the database that hosts share, where there is one      FOLDER/mlflow.dump   MLflow's, where it is PostgreSQL
FOLDER/s3/mlflow, dvc    what lies in S3, where MLflow's files or DVC's do
"""
