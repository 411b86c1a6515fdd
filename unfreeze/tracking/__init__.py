"""A run's folder -> an MLflow store.

mlflow         what is logged
mlflow_store   the connection, which is checked before anything starts
"""
